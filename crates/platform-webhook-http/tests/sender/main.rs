//! The sender against receivers that misbehave, and against addresses that lead inside.

#![expect(clippy::unwrap_used, reason = "a failing test is what a panic is for")]

mod addresses;
mod hostile;
mod secured;
mod statuses;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aftercommit_domain::effects::{
    IdempotencyKey, WebhookAnswer, WebhookError, WebhookNetwork, WebhookRequest, WebhookSecret, WebhookSender,
    WebhookUrl,
};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::time::Clock as _;
use aftercommit_platform_webhook_http::{HttpWebhookSender, NameLookup, WebhookTimeouts};
use aftercommit_testkit::ManualClock;
use async_trait::async_trait;
use uuid::Uuid;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A test that waits for a deadline sets one that is soon over.
const SOON: Duration = Duration::from_millis(300);

fn sender(network: WebhookNetwork) -> HttpWebhookSender {
    HttpWebhookSender::trusting(network, Arc::new(ManualClock::default()), "").unwrap()
}

fn impatient() -> HttpWebhookSender {
    sender(WebhookNetwork::Any).with_timeouts(WebhookTimeouts {
        connect: SOON,
        whole: SOON,
    })
}

fn key(n: u128) -> IdempotencyKey {
    IdempotencyKey::from(MessageId::from(Uuid::from_u128(n)))
}

async fn send(sender: &HttpWebhookSender, url: &str) -> Result<WebhookAnswer, WebhookError> {
    let request = WebhookRequest {
        url: WebhookUrl::parse(url, WebhookNetwork::Any).unwrap(),
        secret: WebhookSecret::parse(SECRET).unwrap(),
        body: r#"{"type":"ProjectDeleted"}"#.into(),
        sent_at: ManualClock::default().now(),
    };
    sender.send(request, &key(7)).await
}

/// Names that lead where a test says: each look-up takes the next answer, and the last one stays.
struct Names {
    answers: Mutex<Vec<Vec<SocketAddr>>>,
    lookups: AtomicUsize,
}

impl Names {
    fn of(answers: impl IntoIterator<Item = Vec<SocketAddr>>) -> Arc<Self> {
        let mut answers: Vec<_> = answers.into_iter().collect();
        answers.reverse();
        Arc::new(Self {
            answers: Mutex::new(answers),
            lookups: AtomicUsize::new(0),
        })
    }

    fn lookups(&self) -> usize {
        self.lookups.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl NameLookup for Names {
    async fn addresses(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        match &answers[..] {
            [] => Err(io::Error::other("no such name")),
            [one] => Ok(one.clone()),
            _ => Ok(answers.pop().unwrap_or_default()),
        }
    }
}
