//! How the relay works.

use std::time::Duration;

use aftercommit_domain::events::RelayPolicy;
use aftercommit_domain::tasks::RetryPolicy;

/// How the relay works.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RelayOptions {
    /// The most rows of one claim. Defaults to 256.
    pub batch_size: usize,
    /// How long a claim is the relay's own. Defaults to 30 s.
    pub lease: Duration,
    /// The longest it waits while nothing seems to be there; between half of it and all of it. Defaults to 1 s.
    pub idle_poll: Duration,
    /// The longest one publish may take. Defaults to 10 s; at most half the lease, whatever is set.
    pub publish_deadline: Duration,
    /// Backoff of rows that fail, and how many attempts before quarantine.
    pub policy: RelayPolicy,
}

impl Default for RelayOptions {
    fn default() -> Self {
        Self {
            batch_size: 256,
            lease: Duration::from_secs(30),
            idle_poll: Duration::from_secs(1),
            publish_deadline: Duration::from_secs(10),
            policy: RelayPolicy {
                retry: RetryPolicy {
                    base: Duration::from_millis(500),
                    ..RetryPolicy::default()
                },
            },
        }
    }
}
