//! Closes an organization with its last member.

use super::leave_organization::{is_alone, remove};
use crate::contract::{Cause, OrganizationId, Tenant};
use crate::events::OutboxWriterExt;
use crate::reference::identity::ApiKeyRevoked;
use crate::reference::projects::ProjectDeleted;
use crate::reference::{ReferencePorts, ReferenceUnitOfWork, UseCaseError, UserId};

/// How many projects or keys are closed in one transaction.
const AT_ONCE: u32 = 100;

/// Deletes the organization's projects, revokes its keys, and ends the person's membership with the last of them; what the
/// projects hold is purged afterwards. Whoever joined meanwhile keeps the organization: then the person only leaves. Doing it
/// again changes nothing.
///
/// # Errors
/// The store.
pub async fn close_organization(
    ports: &ReferencePorts,
    cause: &Cause,
    organization_id: &OrganizationId,
    user_id: UserId,
) -> Result<(), UseCaseError> {
    let tenant = Tenant::organization(organization_id);
    loop {
        let mut uow = ports.units.begin(&tenant, cause).await?;
        let is_alone = is_alone(&mut *uow, user_id).await?;
        let goes_on = is_alone && close_some(ports, &mut *uow, organization_id).await?;
        if !goes_on {
            remove(&mut *uow, organization_id, user_id).await?;
        }
        uow.commit().await?;
        if !goes_on {
            return Ok(());
        }
    }
}

/// Closes some of what the organization has. Answers whether there may be more.
async fn close_some(
    ports: &ReferencePorts,
    uow: &mut dyn ReferenceUnitOfWork,
    organization_id: &OrganizationId,
) -> Result<bool, UseCaseError> {
    let now = ports.now();
    let projects = uow.projects().list_live(None, AT_ONCE).await?;
    let keys = uow.api_keys().list_working(AT_ONCE).await?;
    let goes_on = projects.len().max(keys.len()) >= AT_ONCE as usize;
    for (_, project_id) in projects {
        uow.projects().mark_deleted(&project_id, now).await?;
        let deleted = ProjectDeleted {
            organization_id: organization_id.clone(),
            project_id,
        };
        uow.outbox().write(deleted).await?;
    }
    for key in keys {
        uow.api_keys().revoke(key.id, now).await?;
        let revoked = ApiKeyRevoked {
            organization_id: key.organization_id,
            project_id: key.project_id,
            api_key_id: key.id,
        };
        uow.outbox().write(revoked).await?;
    }
    Ok(goes_on)
}
