//! Starting and stopping: loops that cannot die of an error, and a stop in stages.

mod shutdown;
mod spawner;
mod supervised;

pub use shutdown::{Shutdown, ShutdownGrace, StopOutcome};
pub use spawner::Spawner;
pub use supervised::{Backoff, Round, keep_going};

pub(crate) use supervised::panic_message;
