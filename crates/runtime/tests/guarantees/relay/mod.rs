//! The relay: claim, publish, mark.

mod draining;
mod failing;
mod lost_replies;
mod publishing;
mod surviving;
mod transferring;

use std::time::Duration;

use aftercommit_domain::events::RelayPolicy;
use aftercommit_domain::tasks::{PublishError, RetryPolicy};
use aftercommit_runtime::relay::RelayOptions;

const LEASE: Duration = Duration::from_secs(30);

/// Options with this many attempts before quarantine.
fn attempts(max_attempts: u32) -> RelayOptions {
    let options = RelayOptions::default();
    RelayOptions {
        policy: RelayPolicy {
            retry: RetryPolicy {
                max_attempts,
                ..options.policy.retry
            },
        },
        ..options
    }
}

fn invalid() -> PublishError {
    PublishError::Invalid {
        code: "payload.too_large",
        reason: "too large".into(),
    }
}

fn unroutable() -> PublishError {
    PublishError::Unroutable {
        topic: aftercommit_domain::events::DOMAIN_EVENTS_TOPIC,
    }
}

fn unavailable() -> PublishError {
    PublishError::Unavailable {
        reason: "connection refused".into(),
    }
}
