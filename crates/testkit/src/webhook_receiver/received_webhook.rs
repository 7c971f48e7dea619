//! A webhook that was received.

use aftercommit_domain::effects::WebhookSecret;
use chrono::DateTime;
use serde_json::Value;

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedWebhook {
    /// The first line: `POST /hook HTTP/1.1`.
    pub request_line: String,
    /// The headers with their names in lower case, in the order they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl ReceivedWebhook {
    /// A header's value; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// The `webhook-id`.
    pub fn id(&self) -> &str {
        self.header("webhook-id")
    }

    /// The body as JSON; `null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// Whether its signature is that of the secret: what a receiver checks, apart from the age of the message.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let seconds: i64 = self.header("webhook-timestamp").parse().unwrap_or_default();
        let Some((secret, sent_at)) = WebhookSecret::parse(secret)
            .ok()
            .zip(DateTime::from_timestamp(seconds, 0))
        else {
            return false;
        };
        let expected = secret.sign(self.id(), sent_at, &self.body);
        self.header("webhook-signature").split(' ').any(|one| one == expected)
    }
}
