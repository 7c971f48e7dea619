//! A webhook sender that keeps what it was given and fails as it is told.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aftercommit_domain::effects::{IdempotencyKey, WebhookAnswer, WebhookError, WebhookRequest, WebhookSender};
use async_trait::async_trait;

/// Keeps what receivers took, and fails as it is told: each send takes the next [`WebhookStep`]; without one it succeeds.
///
/// ```
/// # use aftercommit_testkit::{RecordingWebhookSender, WebhookStep};
/// # use aftercommit_domain::effects::WebhookError;
/// let sender = RecordingWebhookSender::new();
/// sender.script([WebhookStep::Fail(WebhookError::of_status(503, None)), WebhookStep::Accept]);
/// assert!(sender.sent().is_empty());
/// ```
#[derive(Debug, Default)]
pub struct RecordingWebhookSender {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<WebhookStep>,
    sent: Vec<SentWebhook>,
    attempts: usize,
}

/// What one send does.
#[derive(Debug, Clone)]
pub enum WebhookStep {
    /// The receiver takes it.
    Accept,
    /// It fails like this; the receiver has nothing.
    Fail(WebhookError),
    /// The receiver takes it, but the sender does not hear of it: done, and the reply was lost.
    AcceptThenLoseReply,
}

/// A webhook that a receiver took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentWebhook {
    /// The webhook.
    pub request: WebhookRequest,
    /// The key it was sent with.
    pub key: IdempotencyKey,
}

impl RecordingWebhookSender {
    /// A sender whose receivers take everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what the next sends do, one step each.
    pub fn script(&self, steps: impl IntoIterator<Item = WebhookStep>) {
        self.lock().script.extend(steps);
    }

    /// What was taken, in order; a webhook sent twice is in it twice.
    pub fn sent(&self) -> Vec<SentWebhook> {
        self.lock().sent.clone()
    }

    /// How often a send was tried, failed ones included.
    pub fn attempts(&self) -> usize {
        self.lock().attempts
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl WebhookSender for RecordingWebhookSender {
    async fn send(&self, request: WebhookRequest, key: &IdempotencyKey) -> Result<WebhookAnswer, WebhookError> {
        let mut state = self.lock();
        state.attempts += 1;
        let step = state.script.pop_front().unwrap_or(WebhookStep::Accept);
        if let WebhookStep::Fail(error) = step {
            return Err(error);
        }
        let key = key.clone();
        state.sent.push(SentWebhook { request, key });
        match step {
            WebhookStep::AcceptThenLoseReply => Err(WebhookError::NoAnswer {
                reason: "the reply was lost".into(),
            }),
            WebhookStep::Accept | WebhookStep::Fail(_) => Ok(WebhookAnswer { status: 200 }),
        }
    }
}
