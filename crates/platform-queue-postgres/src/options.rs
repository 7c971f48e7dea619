//! How a queue works.

use std::time::Duration;

/// How a queue works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostgresQueueOptions {
    /// A task that lost this many runs on its own is given up: its lease expired, or its process died while nothing else ran
    /// there. One that lost three in a row is run with nothing beside it, so that this can be told. Of a task that a broker's queue
    /// handed over after a lost run, that one is among them. Defaults to 3.
    pub max_lost_runs: u32,
    /// Whether tasks of another queue run in the same processes, as on a broker whose queue keeps some of its tasks here: the
    /// only one that a lost process had here may have run beside those. Defaults to `false`.
    pub runs_beside_another_queue: bool,
    /// How long it may take until a process that waits notices what another one published and it did not hear of. While it
    /// hears the others, it looks five times more rarely. Defaults to 1 s.
    pub poll_interval: Duration,
}

impl Default for PostgresQueueOptions {
    fn default() -> Self {
        Self {
            max_lost_runs: 3,
            runs_beside_another_queue: false,
            poll_interval: Duration::from_secs(1),
        }
    }
}
