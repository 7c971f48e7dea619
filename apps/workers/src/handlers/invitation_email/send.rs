//! `invitation-email`/`send`: sends the e-mail of an invitation.

use std::sync::Arc;

use aftercommit_domain::effects::EmailSender;
use aftercommit_domain::reference::invitations::SendInvitationEmail;
use aftercommit_domain::reference::invitations::use_cases::{claim_invitation_email, record_invitation_email};
use aftercommit_domain::reference::{Progress, ReferencePorts};
use aftercommit_domain::tasks::{Outcome, TaskContext, TaskHandler, TaskResult, completed, skipped};
use async_trait::async_trait;

use crate::handlers::expiry;
use crate::templates::{InvitationValues, Templates};

/// Claims, sends, records. A crash between any two of them leaves an e-mail unsent, which the redelivered task sends, or
/// sent and unrecorded, which it sends again under the same key; a link that was mailed works in either case.
pub(crate) struct SendInvitationEmailHandler {
    reference: ReferencePorts,
    email: Arc<dyn EmailSender>,
    templates: Arc<Templates>,
}

impl SendInvitationEmailHandler {
    pub(crate) fn new(reference: ReferencePorts, email: Arc<dyn EmailSender>, templates: Arc<Templates>) -> Self {
        Self {
            reference,
            email,
            templates,
        }
    }
}

#[async_trait]
impl TaskHandler<SendInvitationEmail> for SendInvitationEmailHandler {
    async fn handle(&self, task: SendInvitationEmail, ctx: &TaskContext) -> TaskResult {
        let invitation = match claim_invitation_email(&self.reference, ctx.cause(), &task, ctx.task_id()).await? {
            Progress::Done(invitation) => invitation,
            Progress::NotWanted(reason) => return skipped(reason),
            Progress::NotYet(after) => return Ok(Outcome::Snoozed(after)),
        };
        let values = InvitationValues {
            organization_name: invitation.organization_name.as_str(),
            role: invitation.role.as_str(),
            url: invitation.url.expose(),
            expires_at: &expiry::for_people(invitation.expires_at),
        };
        let email = self.templates.invitation(invitation.to, &values)?;
        self.email.send(email, &ctx.idempotency_key()).await?;
        record_invitation_email(&self.reference, ctx.cause(), &task).await?;
        completed()
    }
}
