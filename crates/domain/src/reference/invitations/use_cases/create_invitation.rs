//! Invites someone.

use serde::{Deserialize, Serialize};

use crate::contract::ProjectId;
use crate::effects::EmailAddress;
use crate::events::OutboxWriterExt;
use crate::reference::identity::Role;
use crate::reference::input::{Checked, email};
use crate::reference::invitations::{Invitation, InvitationCreated, InvitationEmailRequested};
use crate::reference::projects::Project;
use crate::reference::requests::{Answers, Claim};
use crate::reference::{Caller, InvalidInput, InvitationId, ReferencePorts, Refusal, RequestContext, UseCaseError};
use crate::time;

/// What is asked for.
#[derive(Clone)]
pub struct CreateInvitation {
    /// Whom to invite.
    pub email: String,
    /// As what: `owner`, `admin` or `member`.
    pub role: String,
    /// For which project; the caller's own when absent.
    pub project_id: Option<ProjectId>,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationCreation {
    /// The invitation.
    pub invitation_id: InvitationId,
}

/// Invites someone; the e-mail is sent afterwards.
///
/// # Errors
/// Invalid input naming the fields; [`Refusal::NotFound`] for a project the organization does not have; a used
/// `Idempotency-Key`; the store.
pub async fn create_invitation(
    ports: &ReferencePorts,
    caller: &Caller,
    request: &RequestContext,
    input: CreateInvitation,
) -> Result<InvitationCreation, UseCaseError> {
    let (email, role) = input.checked()?;
    let project_id = input.project_id.unwrap_or_else(|| caller.project_id.clone());
    let mut uow = ports
        .units
        .begin(&caller.tenant_of(&project_id), &request.cause)
        .await?;
    let answers = match Answers::claim(ports, &mut *uow, request).await? {
        Claim::First(answers) => answers,
        Claim::Repeated(answer) => return Ok(answer),
    };
    let project = uow.projects().find(&project_id).await?;
    if !project.as_ref().is_some_and(Project::is_live) {
        return Err(Refusal::NotFound { what: "project" }.into());
    }

    let now = ports.now();
    let invitation = Invitation {
        id: InvitationId::new(&*ports.ids),
        organization_id: caller.organization_id.clone(),
        project_id: project_id.clone(),
        email,
        role,
        created_at: now,
        expires_at: time::after(now, ports.settings.invitation_ttl),
        emailed_at: None,
        accepted: None,
        revoked_at: None,
        expired_at: None,
    };
    uow.invitations().insert(&invitation).await?;
    uow.outbox()
        .write(InvitationCreated {
            organization_id: caller.organization_id.clone(),
            project_id,
            invitation_id: invitation.id,
            expires_at: invitation.expires_at,
        })
        .await?;
    uow.outbox()
        .write(InvitationEmailRequested {
            organization_id: caller.organization_id.clone(),
            invitation_id: invitation.id,
        })
        .await?;

    let answer = InvitationCreation {
        invitation_id: invitation.id,
    };
    answers.keep(&mut *uow, &answer).await?;
    uow.commit().await?;
    Ok(answer)
}

impl CreateInvitation {
    fn checked(&self) -> Result<(EmailAddress, Role), InvalidInput> {
        let mut checked = Checked::default();
        let email = checked.field("email", email(&self.email));
        let role = checked.field("role", self.role.parse());
        email.zip(role).ok_or_else(|| checked.into_invalid())
    }
}
