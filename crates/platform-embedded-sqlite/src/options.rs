//! How a database is opened.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::Limits;
use aftercommit_domain::ids::Ids;
use aftercommit_domain::randomness::Randomness;
use aftercommit_domain::time::Clock;

/// How a database is opened. Durations bound every wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteOptions {
    /// The file. It and its directory are made when they do not exist, readable by their owner only.
    pub path: PathBuf,
    /// What a commit survives. Defaults to [`Synchronous::Full`].
    pub synchronous: Synchronous,
    /// Connections for reading, besides the engine's own. Defaults to 4; at least 1.
    pub reader_connections: u32,
    /// Which successful tasks leave a row in the history. Defaults to all.
    pub record_successes: RecordSuccesses,
    /// How long anyone waits for a turn to write. Defaults to 5 s.
    pub acquire_timeout: Duration,
    /// How long one transaction of the engine, or one commit, may take. Defaults to 30 s.
    pub operation_timeout: Duration,
    /// A task that lost this many runs on its own is given up: its lease expired, or its process died while it ran nothing
    /// else. Defaults to 3.
    pub max_lost_runs: u32,
    /// The write-ahead log is cut when it is longer than this, in bytes. Defaults to 64 MiB.
    pub wal_bytes: u64,
}

impl SqliteOptions {
    /// The defaults for a file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            synchronous: Synchronous::Full,
            reader_connections: 4,
            record_successes: RecordSuccesses::All,
            acquire_timeout: Duration::from_secs(5),
            operation_timeout: Duration::from_secs(30),
            max_lost_runs: 3,
            wal_bytes: 64 * 1024 * 1024,
        }
    }
}

/// What a commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synchronous {
    /// A power cut: each commit is flushed to the disk before it is answered.
    Full,
    /// A killed process; a power cut may take the last commits, but never half of one.
    Normal,
}

/// Which successful tasks leave a row in the history. Everything else always does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordSuccesses {
    /// Every one.
    All,
    /// One in a hundred.
    Sampled,
    /// None.
    None,
}

/// What a database takes from outside.
#[derive(Clone)]
pub struct SqliteServices {
    /// The time of every row.
    pub clock: Arc<dyn Clock>,
    /// Ids of what has none.
    pub ids: Arc<dyn Ids>,
    /// Samples successes and starts the lease tokens.
    pub randomness: Arc<dyn Randomness>,
    /// How big messages may be.
    pub limits: Limits,
}
