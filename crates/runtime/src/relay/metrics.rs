//! What the relay counts.

use metrics::{Counter, Histogram, counter, describe_counter, describe_histogram, histogram};

/// What the relay counts; a process has one relay, so there are no labels.
pub(super) struct RelayMetrics {
    pub(super) published: Counter,
    pub(super) failed: Counter,
    pub(super) quarantined: Counter,
    pub(super) stale: Counter,
    pub(super) lag: Histogram,
    pub(super) publish_seconds: Histogram,
}

impl RelayMetrics {
    pub(super) fn new() -> Self {
        describe_counter!("aftercommit_relay_published_total", "Outbox rows published and marked");
        describe_counter!(
            "aftercommit_relay_failed_total",
            "Publishes of outbox rows that failed and will be retried"
        );
        describe_counter!(
            "aftercommit_relay_quarantined_total",
            "Outbox rows kept aside with their reason"
        );
        describe_counter!(
            "aftercommit_relay_stale_total",
            "Write-backs that changed nothing because the lease was lost"
        );
        describe_histogram!("aftercommit_outbox_lag_seconds", "Age of a row when a relay claimed it");
        describe_histogram!("aftercommit_relay_publish_seconds", "Time to publish one batch");
        Self {
            published: counter!("aftercommit_relay_published_total"),
            failed: counter!("aftercommit_relay_failed_total"),
            quarantined: counter!("aftercommit_relay_quarantined_total"),
            stale: counter!("aftercommit_relay_stale_total"),
            lag: histogram!("aftercommit_outbox_lag_seconds"),
            publish_seconds: histogram!("aftercommit_relay_publish_seconds"),
        }
    }
}
