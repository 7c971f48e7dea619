//! A person leaves an organization, and comes back when that was a mistake.

use serde::{Deserialize, Serialize};

use crate::contract::{Cause, OrganizationId, Tenant};
use crate::events::OutboxWriterExt;
use crate::reference::identity::{MemberLeft, MemberRestored, Membership};
use crate::reference::{ReferencePorts, ReferenceUnitOfWork, UseCaseError, UserId};
use crate::unit_of_work::StoreError;

/// How many memberships are looked up at once.
const AT_ONCE: u32 = 100;

/// What became of leaving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leaving {
    /// They are no member any more.
    Left,
    /// They are the only member, and still are.
    IsAlone,
}

/// A page of a person's memberships of all organizations, after this one, in the order of organizations.
///
/// # Errors
/// The store.
pub async fn memberships_of_user(
    ports: &ReferencePorts,
    cause: &Cause,
    user_id: UserId,
    after: Option<OrganizationId>,
) -> Result<Vec<Membership>, UseCaseError> {
    let mut uow = ports.units.begin(&Tenant::System, cause).await?;
    Ok(uow.memberships().of_user(user_id, after, AT_ONCE).await?)
}

/// Ends a membership unless it is the organization's last. Doing it again changes nothing.
///
/// # Errors
/// The store.
pub async fn leave_organization(
    ports: &ReferencePorts,
    cause: &Cause,
    organization_id: &OrganizationId,
    user_id: UserId,
) -> Result<Leaving, UseCaseError> {
    let tenant = Tenant::organization(organization_id);
    let mut uow = ports.units.begin(&tenant, cause).await?;
    if is_alone(&mut *uow, user_id).await? {
        return Ok(Leaving::IsAlone);
    }
    if remove(&mut *uow, organization_id, user_id).await? {
        uow.commit().await?;
    }
    Ok(Leaving::Left)
}

/// Gives a membership back as it was. Doing it again changes nothing.
///
/// # Errors
/// The store.
pub async fn restore_membership(
    ports: &ReferencePorts,
    cause: &Cause,
    membership: &Membership,
) -> Result<(), UseCaseError> {
    let tenant = Tenant::organization(&membership.organization_id);
    let mut uow = ports.units.begin(&tenant, cause).await?;
    if uow.memberships().ensure(membership).await? {
        let restored = MemberRestored {
            organization_id: membership.organization_id.clone(),
            user_id: membership.user_id,
        };
        uow.outbox().write(restored).await?;
        uow.commit().await?;
    }
    Ok(())
}

/// Whether the person is the organization's only member.
pub(super) async fn is_alone(uow: &mut dyn ReferenceUnitOfWork, user_id: UserId) -> Result<bool, StoreError> {
    Ok(uow.memberships().list(None, 2).await? == [user_id])
}

/// Ends a membership. Answers whether there was one.
pub(super) async fn remove(
    uow: &mut dyn ReferenceUnitOfWork,
    organization_id: &OrganizationId,
    user_id: UserId,
) -> Result<bool, UseCaseError> {
    if !uow.memberships().remove(user_id).await? {
        return Ok(false);
    }
    let left = MemberLeft {
        organization_id: organization_id.clone(),
        user_id,
    };
    uow.outbox().write(left).await?;
    Ok(true)
}
