//! What an operator may set about the product.

use std::time::Duration;

use crate::effects::WebhookNetwork;
use crate::reference::Secret;
use crate::time::{days, hours, minutes, seconds};

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
    /// How many records of a month are not charged for. Defaults to 10 000 for each project.
    pub included_records: u64,
    /// What is waited for before several changes become one task.
    pub pace: ProductPace,
}

/// What is waited for before several changes become one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProductPace {
    /// For how long a record must not have come again to be settled. Defaults to 90 s.
    pub record_quiet: Duration,
    /// After this a record is settled although it still comes. Defaults to 15 minutes.
    pub record_max_wait: Duration,
    /// How often the search index takes a record that keeps changing. Defaults to 1 h.
    pub search_refresh: Duration,
    /// How often what is used beyond what is included is reported. Defaults to 5 minutes.
    pub overage_report: Duration,
}

impl ProductPace {
    /// What a record waits for at the longest: not shorter than the quiet it waits for.
    pub fn longest_record_wait(&self) -> Duration {
        self.record_max_wait.max(self.record_quiet)
    }
}

impl Default for ProductPace {
    fn default() -> Self {
        Self {
            record_quiet: seconds(90),
            record_max_wait: minutes(15),
            search_refresh: hours(1),
            overage_report: minutes(5),
        }
    }
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
            included_records: 10_000,
            pace: ProductPace::default(),
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
