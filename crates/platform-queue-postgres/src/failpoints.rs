//! Points around the statements of the queue. Only with the feature `failpoints`, which no shipped program has.

/// All of them.
pub const POINTS: &[&str] = &[QUEUE_AFTER_CLAIM, QUEUE_BEFORE_SETTLE, QUEUE_AFTER_SETTLE];

/// Tasks are claimed, and with no worker.
pub(crate) const QUEUE_AFTER_CLAIM: &str = "queue::after_claim";
/// A batch of deliveries is about to be settled.
pub(crate) const QUEUE_BEFORE_SETTLE: &str = "queue::before_settle";
/// They are settled, and none of their workers was told.
pub(crate) const QUEUE_AFTER_SETTLE: &str = "queue::after_settle";
