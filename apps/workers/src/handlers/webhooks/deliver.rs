//! `webhooks`/`deliver`: tells one webhook of an event.

use std::sync::Arc;

use aftercommit_domain::effects::WebhookSender;
use aftercommit_domain::reference::webhooks::use_cases::{
    prepare_webhook, record_webhook_failure, record_webhook_success,
};
use aftercommit_domain::reference::webhooks::{DeliverWebhook, DisableReason};
use aftercommit_domain::reference::{Progress, ReferencePorts};
use aftercommit_domain::tasks::{Outcome, TaskContext, TaskHandler, TaskResult, completed, skipped};
use async_trait::async_trait;

/// Looks up, sends, records. A crash between any two of them leaves a message unsent, which the redelivered task sends, or
/// sent and unrecorded, which it sends again under the same id; what is recorded is only how the receiver is doing.
pub(crate) struct DeliverWebhookHandler {
    reference: ReferencePorts,
    sender: Arc<dyn WebhookSender>,
}

impl DeliverWebhookHandler {
    pub(crate) fn new(reference: ReferencePorts, sender: Arc<dyn WebhookSender>) -> Self {
        Self { reference, sender }
    }
}

#[async_trait]
impl TaskHandler<DeliverWebhook> for DeliverWebhookHandler {
    async fn handle(&self, task: DeliverWebhook, ctx: &TaskContext) -> TaskResult {
        let webhook = match prepare_webhook(&self.reference, ctx.cause(), &task).await? {
            Progress::Done(webhook) => webhook,
            Progress::NotWanted(reason) => return skipped(reason),
            Progress::NotYet(after) => return Ok(Outcome::Snoozed(after)),
        };
        let Err(error) = self.sender.send(webhook.request, &ctx.idempotency_key()).await else {
            // In the ordinary case there is nothing to record.
            if webhook.is_failing {
                record_webhook_success(&self.reference, ctx.cause(), &task).await?;
            }
            return completed();
        };
        match record_webhook_failure(&self.reference, ctx.cause(), &task, &error).await? {
            None => Err(error.into()),
            Some(DisableReason::Gone) => skipped("its receiver wants no webhooks any more; the webhook is disabled"),
            Some(DisableReason::Failing) => skipped("its receiver took nothing for days; the webhook is disabled"),
        }
    }
}

#[cfg(test)]
mod tests;
