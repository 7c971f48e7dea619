//! Forgets who a person was.

use crate::contract::{Cause, OrganizationId, Tenant};
use crate::events::OutboxWriterExt;
use crate::reference::identity::{User, UserDeleted};
use crate::reference::{ReferencePorts, UseCaseError, UserId};

/// Puts an address in place of the person's that says nothing of them, and keeps in the event log that they were deleted and
/// for whom. Doing it again changes nothing.
///
/// # Errors
/// The store.
pub async fn anonymise_user(
    ports: &ReferencePorts,
    cause: &Cause,
    organization_id: &OrganizationId,
    user_id: UserId,
) -> Result<(), UseCaseError> {
    let mut uow = ports.units.begin(&Tenant::System, cause).await?;
    let Some(user) = uow.users().find(user_id).await? else {
        return Ok(());
    };
    let nobody = User::anonymous_email(user_id)?;
    if user.email == nobody {
        return Ok(());
    }
    uow.users().replace_email(user_id, &nobody).await?;
    let deleted = UserDeleted {
        organization_id: organization_id.clone(),
        user_id,
    };
    uow.outbox().write(deleted).await?;
    uow.commit().await?;
    Ok(())
}
