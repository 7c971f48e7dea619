//! What can be done about digests.

mod run_digest;
mod trigger_weekly_digests;

pub use run_digest::run_digest;
pub use trigger_weekly_digests::trigger_weekly_digests;
