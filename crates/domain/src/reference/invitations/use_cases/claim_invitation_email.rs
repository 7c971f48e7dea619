//! Decides whether an invitation's e-mail is still to be sent, and by whom.

use std::time::Duration;

use crate::contract::{Cause, Contract, Sealed};
use crate::effects::EmailAddress;
use crate::ids::MessageId;
use crate::reference::identity::Role;
use crate::reference::invitations::{EmailClaim, InvitationState, SendInvitationEmail};
use crate::reference::projects::Project;
use crate::reference::{Name, Progress, ReferencePorts, Secret, UseCaseError};
use crate::time::{self, Timestamp};

/// How long another task's claim is waited for; longer than a send may take.
const CLAIM_HOLDS: Duration = time::minutes(2);

/// How many tokens of one invitation work: more than attempts a task has, so that no mailed link stops working.
const TOKENS_KEPT: u32 = 64;

/// What the e-mail of an invitation says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationEmail {
    /// Whom to send it to.
    pub to: EmailAddress,
    /// Who invites.
    pub organization_name: Name,
    /// As what.
    pub role: Role,
    /// The link that accepts, with a token of its own.
    pub url: Sealed<String>,
    /// From when on it cannot be accepted.
    pub expires_at: Timestamp,
}

/// Claims the e-mail for `task_id` and makes the token of its link, durably before anything is sent: whatever is mailed
/// works, even when this process dies right after sending.
///
/// # Errors
/// The store.
pub async fn claim_invitation_email(
    ports: &ReferencePorts,
    cause: &Cause,
    task: &SendInvitationEmail,
    task_id: MessageId,
) -> Result<Progress<InvitationEmail>, UseCaseError> {
    let mut uow = ports.units.begin(&task.tenant(), cause).await?;
    let now = ports.now();
    let Some(invitation) = uow.invitations().find(task.invitation_id).await? else {
        return Ok(Progress::NotWanted("the invitation is gone"));
    };
    match invitation.state_at(now) {
        InvitationState::Open => {}
        InvitationState::Accepted(_) => return Ok(Progress::NotWanted("the invitation was accepted")),
        InvitationState::Revoked => return Ok(Progress::NotWanted("the invitation was revoked")),
        InvitationState::Expired => return Ok(Progress::NotWanted("the invitation has expired")),
    }
    let project = uow.projects().find(&invitation.project_id).await?;
    if !project.as_ref().is_some_and(Project::is_live) {
        return Ok(Progress::NotWanted("the project was deleted"));
    }
    let Some(organization) = uow.organizations().find().await? else {
        return Ok(Progress::NotWanted("the organization is gone"));
    };
    let claim = uow
        .invitations()
        .claim_email(invitation.id, task_id, now, time::before(now, CLAIM_HOLDS))
        .await?;
    match claim {
        EmailClaim::Claimed => {}
        EmailClaim::AlreadySent => return Ok(Progress::NotWanted("the e-mail was sent already")),
        EmailClaim::HeldByAnother => return Ok(Progress::NotYet(CLAIM_HOLDS)),
    }
    let token = Secret::invitation_token(invitation.id, &*ports.randomness);
    uow.invitations()
        .add_token(invitation.id, &token.digest(), now, TOKENS_KEPT)
        .await?;
    uow.commit().await?;
    Ok(Progress::Done(InvitationEmail {
        to: invitation.email,
        organization_name: organization.name,
        role: invitation.role,
        url: Sealed::new(ports.settings.invitation_url(&token)),
        expires_at: invitation.expires_at,
    }))
}
