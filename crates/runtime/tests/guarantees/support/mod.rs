//! What the tests share.

pub(crate) mod clock;
pub(crate) mod contracts;
pub(crate) mod handlers;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod rig;
pub(crate) mod workflow_engine;
