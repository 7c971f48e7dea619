//! Points of a worker between what it is given and what it answers. Only with the feature `failpoints`, which no shipped
//! program has.

/// All of them.
pub const POINTS: &[&str] = &[
    WORKFLOW_BEFORE_CODE,
    WORKFLOW_AFTER_CODE,
    WORKFLOW_AFTER_END,
    ACTIVITY_BEFORE_RUN,
    ACTIVITY_AFTER_RUN,
    HEARTBEAT_BEFORE,
    HEARTBEAT_AFTER,
];

/// A run is to be told something, and its code has not seen it.
pub(crate) const WORKFLOW_BEFORE_CODE: &str = "workflow::before_code";
/// Its code has gone on, and the server does not know what it asks for.
pub(crate) const WORKFLOW_AFTER_CODE: &str = "workflow::after_code";
/// The server was told that it ended, and the worker forgets it.
pub(crate) const WORKFLOW_AFTER_END: &str = "workflow::after_end";
/// The server has given an attempt of an activity to this worker, and nothing is done.
pub(crate) const ACTIVITY_BEFORE_RUN: &str = "activity::before_run";
/// All of it is done, and the server does not know.
pub(crate) const ACTIVITY_AFTER_RUN: &str = "activity::after_run";
/// An attempt has come further, and has not said so.
pub(crate) const HEARTBEAT_BEFORE: &str = "heartbeat::before";
/// It has said so.
pub(crate) const HEARTBEAT_AFTER: &str = "heartbeat::after";
