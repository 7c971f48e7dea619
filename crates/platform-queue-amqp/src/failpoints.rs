//! Points between what is done and its ack. Only with the feature `failpoints`, which no shipped program has.

/// All of them.
pub const POINTS: &[&str] = &[
    AMQP_BEFORE_CONFIRM,
    AMQP_AFTER_HISTORY,
    AMQP_BEFORE_ACK,
    AMQP_AFTER_ACK,
    RETRY_AFTER_REPUBLISH,
    RETRY_AFTER_HOLD,
    DEAD_LETTER_AFTER_WRITE,
    HOLD_AFTER_WRITE,
    DRAIN_AFTER_WRITE,
];

/// A batch is written to the broker, and not confirmed.
pub(crate) const AMQP_BEFORE_CONFIRM: &str = "amqp::before_confirm";
/// The end of a task is recorded, and its message not acked.
pub(crate) const AMQP_AFTER_HISTORY: &str = "amqp::after_history";
/// All that was to be done is done, and the message not acked.
pub(crate) const AMQP_BEFORE_ACK: &str = "amqp::before_ack";
/// It is acked.
pub(crate) const AMQP_AFTER_ACK: &str = "amqp::after_ack";
/// The next attempt is published, and this one not acked.
pub(crate) const RETRY_AFTER_REPUBLISH: &str = "retry::after_republish";
/// The database holds the next attempt, and this one is not acked.
pub(crate) const RETRY_AFTER_HOLD: &str = "retry::after_hold";
/// The dead letter is written, and its message not acked.
pub(crate) const DEAD_LETTER_AFTER_WRITE: &str = "dead_letter::after_write";
/// The database holds messages that wait, and none of them is acked.
pub(crate) const HOLD_AFTER_WRITE: &str = "hold::after_write";
/// What the broker gave up is a dead letter, and its message not acked.
pub(crate) const DRAIN_AFTER_WRITE: &str = "drain::after_write";
