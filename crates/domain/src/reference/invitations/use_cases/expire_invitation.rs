//! Tells of an invitation's expiry.

use crate::contract::{Cause, Contract};
use crate::events::OutboxWriterExt;
use crate::reference::invitations::{ExpireInvitation, InvitationExpired};
use crate::reference::{Progress, ReferencePorts, UseCaseError};

/// Marks an invitation expired and tells of it, unless it was accepted, revoked or prolonged meanwhile.
///
/// # Errors
/// The store.
pub async fn expire_invitation(
    ports: &ReferencePorts,
    cause: &Cause,
    task: &ExpireInvitation,
) -> Result<Progress, UseCaseError> {
    let mut uow = ports.units.begin(&task.tenant(), cause).await?;
    let Some(invitation) = uow.invitations().find(task.invitation_id).await? else {
        return Ok(Progress::NotWanted("the invitation is gone"));
    };
    if invitation.accepted.is_some() {
        return Ok(Progress::NotWanted("the invitation was accepted"));
    }
    if invitation.revoked_at.is_some() {
        return Ok(Progress::NotWanted("the invitation was revoked"));
    }
    let now = ports.now();
    // It was prolonged, or another clock was ahead: the date in the row is the one that counts.
    if let Ok(left) = (invitation.expires_at - now).to_std()
        && !left.is_zero()
    {
        return Ok(Progress::NotYet(left));
    }
    if !uow.invitations().expire(invitation.id, now).await? {
        return Ok(Progress::NotWanted("the invitation expired earlier"));
    }
    uow.outbox()
        .write(InvitationExpired {
            organization_id: task.organization_id.clone(),
            project_id: task.project_id.clone(),
            invitation_id: task.invitation_id,
        })
        .await?;
    uow.commit().await?;
    Ok(Progress::Done(()))
}
