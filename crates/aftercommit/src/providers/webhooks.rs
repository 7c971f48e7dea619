//! Webhooks over HTTP.

use std::sync::Arc;

use aftercommit_domain::effects::WebhookSender;
use aftercommit_domain::time::Clock;
use aftercommit_platform_config::Settings;
use aftercommit_platform_webhook_http::HttpWebhookSender;

use crate::startup::StartupError;

/// What sends webhooks. A machine that trusts no certificate authority is no reason not to start: what must be sent to
/// receivers with TLS fails with its cause.
pub(crate) fn sender(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Arc<dyn WebhookSender>, StartupError> {
    let network = super::webhook_network(settings);
    let sender = match HttpWebhookSender::new(network, Arc::clone(&clock)) {
        Ok(sender) => sender,
        Err(error) => {
            tracing::warn!(%error, "no webhook can be sent to a receiver with TLS");
            HttpWebhookSender::trusting(network, clock, "")
                .map_err(|error| StartupError::Application(error.to_string()))?
        }
    };
    Ok(Arc::new(sender))
}
