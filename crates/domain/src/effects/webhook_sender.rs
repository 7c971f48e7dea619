//! Sending webhooks.

use std::fmt;

use async_trait::async_trait;

use crate::effects::{IdempotencyKey, WebhookError, WebhookSecret, WebhookUrl};
use crate::time::Timestamp;

/// Sends webhooks as the Standard Webhooks specification has them: a POST with `webhook-id`, `webhook-timestamp` and
/// `webhook-signature`.
///
/// **Contract**: `Ok` means the receiver answered with a 2xx status. `key` is the `webhook-id`, so that a repeated send
/// can be recognised. Every address is checked right before it is connected to; no redirect is followed. The answer is
/// read up to a bound and thrown away. Has a deadline of its own; called concurrently; cancelling it may or may not have
/// sent.
#[async_trait]
pub trait WebhookSender: Send + Sync {
    /// Sends `request`.
    async fn send(&self, request: WebhookRequest, key: &IdempotencyKey) -> Result<WebhookAnswer, WebhookError>;
}

/// What is sent, and where to.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookRequest {
    /// Where to.
    pub url: WebhookUrl,
    /// What it is signed with.
    pub secret: WebhookSecret,
    /// JSON.
    pub body: String,
    /// When this attempt is made. It is signed too, so that a receiver can refuse old messages.
    pub sent_at: Timestamp,
}

impl WebhookRequest {
    /// The value of `webhook-signature`.
    pub fn signature(&self, key: &IdempotencyKey) -> String {
        self.secret.sign(key.as_str(), self.sent_at, &self.body)
    }
}

impl fmt::Debug for WebhookRequest {
    /// Neither the address, which may hold a token, nor what it says belongs in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookRequest").finish_non_exhaustive()
    }
}

/// What a receiver that took a webhook said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookAnswer {
    /// The status: 200 to 299.
    pub status: u16,
}
