//! Points between the statements of a transaction. Only with the feature `failpoints`, which no shipped program has.

/// All of them.
pub const POINTS: &[&str] = &[
    UNIT_OF_WORK_AFTER_BEGIN,
    UNIT_OF_WORK_AFTER_MESSAGES,
    UNIT_OF_WORK_BEFORE_COMMIT,
    UNIT_OF_WORK_AFTER_COMMIT,
    WORKER_IN_TRANSACTION,
];

/// A transaction is open and did nothing.
pub(crate) const UNIT_OF_WORK_AFTER_BEGIN: &str = "unit_of_work::after_begin";
/// It has written its messages and is not committed.
pub(crate) const UNIT_OF_WORK_AFTER_MESSAGES: &str = "unit_of_work::after_messages";
/// It has done everything and is not committed.
pub(crate) const UNIT_OF_WORK_BEFORE_COMMIT: &str = "unit_of_work::before_commit";
/// It is committed, and nobody was told.
pub(crate) const UNIT_OF_WORK_AFTER_COMMIT: &str = "unit_of_work::after_commit";
/// A handler has claimed its task in its transaction, and did nothing else.
pub(crate) const WORKER_IN_TRANSACTION: &str = "worker::in_transaction";
