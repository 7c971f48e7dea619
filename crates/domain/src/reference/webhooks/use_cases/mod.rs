//! What can be done with webhooks.

mod create_webhook;
mod delete_webhook;
mod fan_out_webhooks;
mod list_webhooks;
mod prepare_webhook;
mod record_webhook_attempt;

pub use create_webhook::{CreateWebhook, WebhookCreation, create_webhook};
pub use delete_webhook::delete_webhook;
pub use fan_out_webhooks::fan_out_webhooks;
pub use list_webhooks::list_webhooks;
pub use prepare_webhook::{PreparedWebhook, prepare_webhook};
pub use record_webhook_attempt::{record_webhook_failure, record_webhook_success};
