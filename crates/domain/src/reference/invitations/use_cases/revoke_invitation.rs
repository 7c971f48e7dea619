//! Takes an invitation back.

use crate::contract::Tenant;
use crate::reference::invitations::{ExpireInvitation, InvitationState};
use crate::reference::{Caller, InvitationId, ReferencePorts, Refusal, RequestContext, UseCaseError};
use crate::tasks::Reason;

/// Revokes an invitation; an e-mail that was not sent yet is not sent any more, and its expiry, if it waits by now, is cancelled. Revoking one that was revoked or has
/// expired changes nothing.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::InvitationAccepted`]; the store.
pub async fn revoke_invitation(
    ports: &ReferencePorts,
    caller: &Caller,
    request: &RequestContext,
    id: InvitationId,
) -> Result<(), UseCaseError> {
    let tenant = Tenant::organization(&caller.organization_id);
    let mut uow = ports.units.begin(&tenant, &request.cause).await?;
    let now = ports.now();
    let invitation = uow
        .invitations()
        .find(id)
        .await?
        .ok_or(Refusal::NotFound { what: "invitation" })?;
    match invitation.state_at(now) {
        InvitationState::Accepted(_) => Err(Refusal::InvitationAccepted.into()),
        InvitationState::Revoked | InvitationState::Expired => Ok(()),
        InvitationState::Open => {
            // Whoever accepts it at the same moment has the row first or not at all.
            if !uow.invitations().revoke(id, now).await? {
                return Err(Refusal::InvitationAccepted.into());
            }
            let reason = Reason::new("the invitation was revoked");
            uow.windows()
                .cancel(&ExpireInvitation::key_of(&invitation), &reason)
                .await?;
            uow.commit().await?;
            Ok(())
        }
    }
}
