//! Asks for a person to be deleted, and takes it back.

use crate::contract::{EncodeError, Tenant, WorkflowKey};
use crate::events::{OutboxWriterExt, WriteError};
use crate::reference::identity::UserDeletionRequested;
use crate::reference::identity::use_cases::memberships_of_user;
use crate::reference::workflows::{KeepUser, UserDeletion};
use crate::reference::{Caller, ReferencePorts, Refusal, RequestContext, UseCaseError, UserId};
use crate::workflows::{WorkflowId, WorkflowInput, WorkflowOutboxExt};

/// Starts `user-deletion` for a member of the caller's organization and of no other. Asked again while it runs, it goes on as
/// it was. Who joins another organization during the grace stays there.
///
/// # Errors
/// [`Refusal::NotFound`] for somebody who is no member, [`Refusal::InOtherOrganizations`] for a member of others too; the
/// store.
pub async fn request_user_deletion(
    ports: &ReferencePorts,
    caller: &Caller,
    request: &RequestContext,
    user_id: UserId,
) -> Result<(), UseCaseError> {
    let memberships = memberships_of_user(ports, &request.cause, user_id, None).await?;
    let tenant = Tenant::organization(&caller.organization_id);
    let mut uow = ports.units.begin(&tenant, &request.cause).await?;
    // First, so that nobody learns anything of strangers.
    if uow.memberships().find(user_id).await?.is_none() {
        return Err(Refusal::NotFound { what: "user" }.into());
    }
    if memberships
        .iter()
        .any(|one| one.organization_id != caller.organization_id)
    {
        return Err(Refusal::InOtherOrganizations.into());
    }
    let organization_id = caller.organization_id.clone();
    let requested = UserDeletionRequested {
        organization_id: organization_id.clone(),
        user_id,
    };
    uow.outbox().write(requested).await?;
    let input = UserDeletion {
        organization_id,
        user_id,
        is_here_only: true,
    };
    uow.outbox().start(user_id, &input).await?;
    uow.commit().await?;
    Ok(())
}

/// Tells `user-deletion` that the person is to be kept, which it heeds during its grace. It must have been asked for by the
/// caller's organization. `Ok` means that it is asked: where the deletion is over, because it failed or they were kept before,
/// the request ends as skipped with `workflow.over`.
///
/// # Errors
/// [`Refusal::NotFound`] for somebody who is no member, or no member any more; the store.
pub async fn keep_user(
    ports: &ReferencePorts,
    caller: &Caller,
    request: &RequestContext,
    user_id: UserId,
) -> Result<(), UseCaseError> {
    let tenant = Tenant::organization(&caller.organization_id);
    let mut uow = ports.units.begin(&tenant, &request.cause).await?;
    if uow.memberships().find(user_id).await?.is_none() {
        return Err(Refusal::NotFound { what: "user" }.into());
    }
    let key = WorkflowKey::new(user_id.to_string()).map_err(|source| {
        WriteError::from(EncodeError::Name {
            contract: UserDeletion::NAME.to_string(),
            source,
        })
    })?;
    let deletion = WorkflowId::new(tenant, UserDeletion::NAME, key);
    uow.outbox().signal(&deletion, &KeepUser {}).await?;
    uow.commit().await?;
    Ok(())
}
