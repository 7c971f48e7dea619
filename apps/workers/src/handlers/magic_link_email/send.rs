//! `magic-link-email`/`send`: sends a magic link.

use std::sync::Arc;

use aftercommit_domain::effects::EmailSender;
use aftercommit_domain::reference::identity::SendMagicLinkEmail;
use aftercommit_domain::reference::identity::use_cases::{MagicLinkVariant, load_magic_link_email};
use aftercommit_domain::reference::{Progress, ReferencePorts};
use aftercommit_domain::tasks::{Outcome, TaskContext, TaskHandler, TaskResult, completed, skipped};
use async_trait::async_trait;

use crate::handlers::expiry;
use crate::templates::{MagicLinkValues, Templates};

/// Sends the link in the variant that fits who it is for. The address and the link are taken out of their seal here, at
/// the moment of sending, and nowhere else. Nothing is recorded: a link that is sent twice works once.
pub(crate) struct SendMagicLinkEmailHandler {
    reference: ReferencePorts,
    email: Arc<dyn EmailSender>,
    templates: Arc<Templates>,
}

impl SendMagicLinkEmailHandler {
    pub(crate) fn new(reference: ReferencePorts, email: Arc<dyn EmailSender>, templates: Arc<Templates>) -> Self {
        Self {
            reference,
            email,
            templates,
        }
    }
}

#[async_trait]
impl TaskHandler<SendMagicLinkEmail> for SendMagicLinkEmailHandler {
    async fn handle(&self, task: SendMagicLinkEmail, ctx: &TaskContext) -> TaskResult {
        let variant = match load_magic_link_email(&self.reference, ctx.cause(), &task).await? {
            Progress::Done(variant) => variant,
            Progress::NotWanted(reason) => return skipped(reason),
            Progress::NotYet(after) => return Ok(Outcome::Snoozed(after)),
        };
        let values = MagicLinkValues {
            signs_up: variant == MagicLinkVariant::SignUp,
            url: task.magic_link_url.expose(),
            expires_at: &expiry::for_people(task.expires_at),
        };
        let email = self.templates.magic_link(task.email.expose().clone(), &values)?;
        self.email.send(email, &ctx.idempotency_key()).await?;
        completed()
    }
}
