//! Gives an invitation more time.

use serde::{Deserialize, Serialize};

use crate::contract::Tenant;
use crate::events::OutboxWriterExt;
use crate::reference::invitations::{InvitationProlonged, InvitationState};
use crate::reference::requests::{Answers, Claim};
use crate::reference::{Caller, InvitationId, ReferencePorts, Refusal, RequestContext, UseCaseError};
use crate::time::{self, Timestamp};

/// Until when it can be accepted now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationProlongation {
    /// The invitation.
    pub invitation_id: InvitationId,
    /// From when on it cannot be accepted.
    pub expires_at: Timestamp,
}

/// Lets an open invitation be accepted as long from now as a new one could be.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::InvitationAccepted`], [`Refusal::InvitationRevoked`], [`Refusal::InvitationExpired`]; a used
/// `Idempotency-Key`; the store.
pub async fn prolong_invitation(
    ports: &ReferencePorts,
    caller: &Caller,
    request: &RequestContext,
    id: InvitationId,
) -> Result<InvitationProlongation, UseCaseError> {
    let tenant = Tenant::organization(&caller.organization_id);
    let mut uow = ports.units.begin(&tenant, &request.cause).await?;
    let answers = match Answers::claim(ports, &mut *uow, request).await? {
        Claim::First(answers) => answers,
        Claim::Repeated(answer) => return Ok(answer),
    };
    let now = ports.now();
    let invitation = uow
        .invitations()
        .find(id)
        .await?
        .ok_or(Refusal::NotFound { what: "invitation" })?;
    match invitation.state_at(now) {
        InvitationState::Open => {}
        InvitationState::Accepted(_) => return Err(Refusal::InvitationAccepted.into()),
        InvitationState::Revoked => return Err(Refusal::InvitationRevoked.into()),
        InvitationState::Expired => return Err(Refusal::InvitationExpired.into()),
    }
    let expires_at = time::after(now, ports.settings.invitation_ttl);
    // Whoever decided about it meanwhile has the row first.
    if !uow.invitations().prolong(id, expires_at).await? {
        return Err(Refusal::InvitationExpired.into());
    }
    uow.outbox()
        .write(InvitationProlonged {
            organization_id: invitation.organization_id.clone(),
            project_id: invitation.project_id.clone(),
            invitation_id: id,
            expires_at,
        })
        .await?;
    let answer = InvitationProlongation {
        invitation_id: id,
        expires_at,
    };
    answers.keep(&mut *uow, &answer).await?;
    uow.commit().await?;
    Ok(answer)
}
