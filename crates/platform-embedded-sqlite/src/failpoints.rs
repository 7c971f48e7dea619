//! Points between the statements of a transaction. Only with the feature `failpoints`, which no shipped program has.

/// All of them.
pub const POINTS: &[&str] = &[
    UNIT_OF_WORK_AFTER_BEGIN,
    UNIT_OF_WORK_BEFORE_COMMIT,
    UNIT_OF_WORK_AFTER_COMMIT,
    WORKER_IN_TRANSACTION,
    QUEUE_AFTER_CLAIM,
    GROUP_AFTER_SETTLE,
    GROUP_BEFORE_COMMIT,
    GROUP_AFTER_COMMIT,
];

/// A transaction is open and did nothing.
pub(crate) const UNIT_OF_WORK_AFTER_BEGIN: &str = "unit_of_work::after_begin";
/// It has done everything and is not committed.
pub(crate) const UNIT_OF_WORK_BEFORE_COMMIT: &str = "unit_of_work::before_commit";
/// It is committed, and nobody was told.
pub(crate) const UNIT_OF_WORK_AFTER_COMMIT: &str = "unit_of_work::after_commit";
/// A handler has claimed its task in its transaction, and did nothing else.
pub(crate) const WORKER_IN_TRANSACTION: &str = "worker::in_transaction";
/// Tasks are claimed, and with no worker.
pub(crate) const QUEUE_AFTER_CLAIM: &str = "queue::after_claim";
/// A group has settled deliveries, and is not done.
pub(crate) const GROUP_AFTER_SETTLE: &str = "group::after_settle";
/// A group is done and not committed.
pub(crate) const GROUP_BEFORE_COMMIT: &str = "group::before_commit";
/// It is committed, and none of its callers was told.
pub(crate) const GROUP_AFTER_COMMIT: &str = "group::after_commit";
