//! What an operator may set about the product.

use std::time::Duration;

use crate::effects::WebhookNetwork;
use crate::reference::Secret;
use crate::time::{days, minutes};

/// What an operator may set about the product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductSettings {
    /// Where people reach the product: the beginning of the links in its e-mails, without a slash at its end.
    pub public_url: String,
    /// How long an invitation can be accepted. Defaults to 7 days.
    pub invitation_ttl: Duration,
    /// How long a magic link works. Defaults to 15 minutes.
    pub sign_in_link_ttl: Duration,
    /// How long the answer to a request with an `Idempotency-Key` is repeated. Defaults to 24 h.
    pub idempotency_ttl: Duration,
    /// Where webhooks may be sent. Defaults to the public internet only.
    pub webhook_network: WebhookNetwork,
}

impl ProductSettings {
    /// The defaults, reached at `public_url`.
    pub fn at(public_url: impl AsRef<str>) -> Self {
        Self {
            public_url: public_url.as_ref().trim_end_matches('/').to_owned(),
            invitation_ttl: days(7),
            sign_in_link_ttl: minutes(15),
            idempotency_ttl: days(1),
            webhook_network: WebhookNetwork::Public,
        }
    }

    /// The link that signs in. The token is the fragment, which a browser keeps to itself: it reaches no server's log
    /// and no `Referer`.
    pub fn sign_in_url(&self, token: &Secret) -> String {
        format!("{}/sign-in#{}", self.public_url, token.expose())
    }

    /// The link that accepts an invitation, whose id is in the token.
    pub fn invitation_url(&self, token: &Secret) -> String {
        format!("{}/join#{}", self.public_url, token.expose())
    }
}
