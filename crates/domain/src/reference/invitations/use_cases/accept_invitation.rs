//! Accepts an invitation.

use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, ProjectId};
use crate::events::OutboxWriterExt;
use crate::reference::identity::{MemberJoined, Membership, User, UserSignedUp};
use crate::reference::invitations::{ExpireInvitation, Invitation, InvitationState};
use crate::reference::projects::Project;
use crate::reference::requests::{Answers, Claim};
use crate::reference::{
    InvitationId, ReferencePorts, ReferenceUnitOfWork, Refusal, RequestContext, Secret, UseCaseError, UserId,
};
use crate::tasks::Reason;

/// Who joined what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationAcceptance {
    /// Who.
    pub user_id: UserId,
    /// The organization.
    pub organization_id: OrganizationId,
    /// The project they were invited for.
    pub project_id: ProjectId,
}

/// Makes whoever has a token of the invitation a member. Open: the token is the proof, and a wrong one finds no
/// invitation. Accepting again with a right one answers the same and changes nothing.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::InvitationRevoked`], [`Refusal::InvitationExpired`]; a used `Idempotency-Key`; the
/// store.
pub async fn accept_invitation(
    ports: &ReferencePorts,
    request: &RequestContext,
    id: InvitationId,
    token: &str,
) -> Result<InvitationAcceptance, UseCaseError> {
    const UNKNOWN: Refusal = Refusal::NotFound { what: "invitation" };
    let token = Secret::presented(token).ok_or(UNKNOWN)?;
    let tenant = ports.reader.tenant_of_invitation(id).await?.ok_or(UNKNOWN)?;
    let mut uow = ports.units.begin(&tenant, &request.cause).await?;
    let answers = match Answers::claim(ports, &mut *uow, request).await? {
        Claim::First(answers) => answers,
        Claim::Repeated(answer) => return Ok(answer),
    };
    if !uow.invitations().has_token(id, &token.digest()).await? {
        return Err(UNKNOWN.into());
    }
    let invitation = uow.invitations().find(id).await?.ok_or(UNKNOWN)?;
    let user_id = match invitation.state_at(ports.now()) {
        InvitationState::Accepted(user_id) => return Ok(invitation.accepted_by(user_id)),
        InvitationState::Revoked => return Err(Refusal::InvitationRevoked.into()),
        InvitationState::Expired => return Err(Refusal::InvitationExpired.into()),
        InvitationState::Open => join(ports, &mut *uow, &invitation).await?,
    };

    let answer = invitation.accepted_by(user_id);
    answers.keep(&mut *uow, &answer).await?;
    uow.commit().await?;
    Ok(answer)
}

async fn join(
    ports: &ReferencePorts,
    uow: &mut dyn ReferenceUnitOfWork,
    invitation: &Invitation,
) -> Result<UserId, UseCaseError> {
    let project = uow.projects().find(&invitation.project_id).await?;
    if !project.as_ref().is_some_and(Project::is_live) {
        return Err(Refusal::InvitationRevoked.into());
    }
    let user = User::new(ports, invitation.email.clone());
    let (user_id, is_new) = uow.users().ensure(&user).await?;
    if !uow.invitations().accept(invitation.id, user_id, ports.now()).await? {
        return Err(Refusal::InvitationRevoked.into());
    }
    // One that has not reached its topic yet finds the invitation accepted.
    let reason = Reason::new("the invitation was accepted");
    uow.windows()
        .cancel(&ExpireInvitation::key_of(invitation), &reason)
        .await?;
    if is_new {
        uow.outbox()
            .write(UserSignedUp {
                organization_id: invitation.organization_id.clone(),
                project_id: invitation.project_id.clone(),
                user_id,
            })
            .await?;
    }
    let membership = Membership {
        organization_id: invitation.organization_id.clone(),
        user_id,
        role: invitation.role,
        joined_at: ports.now(),
    };
    // Someone who is a member already keeps the role they have.
    if uow.memberships().ensure(&membership).await? {
        uow.outbox()
            .write(MemberJoined {
                organization_id: invitation.organization_id.clone(),
                project_id: invitation.project_id.clone(),
                user_id,
                role: invitation.role,
            })
            .await?;
    }
    Ok(user_id)
}

impl Invitation {
    fn accepted_by(&self, user_id: UserId) -> InvitationAcceptance {
        InvitationAcceptance {
            user_id,
            organization_id: self.organization_id.clone(),
            project_id: self.project_id.clone(),
        }
    }
}
