//! Ends a statement that holds the one writing connection although nobody waits for it, or for too long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sqlx::SqliteConnection;
use tokio::time::Instant;

/// SQLite asks each time it has done this many steps of a statement: a fraction of a millisecond.
const STEPS: i32 = 4096;

/// Asked by SQLite while a statement runs, on the thread of the connection. Dropping the future of a statement does not
/// end the statement; this does.
#[derive(Debug)]
pub(crate) struct Interrupt {
    is_raised: AtomicBool,
    /// Milliseconds since `start`.
    deadline: AtomicU64,
    start: Instant,
}

impl Default for Interrupt {
    fn default() -> Self {
        Self {
            is_raised: AtomicBool::new(false),
            deadline: AtomicU64::new(u64::MAX),
            start: Instant::now(),
        }
    }
}

impl Interrupt {
    /// Lets this connection ask. The statement that runs when the answer is "end" fails with `SQLITE_INTERRUPT`.
    pub(crate) async fn install(self: &Arc<Self>, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let interrupt = Arc::clone(self);
        connection
            .lock_handle()
            .await?
            .set_progress_handler(STEPS, move || interrupt.may_go_on());
        Ok(())
    }

    /// Ends the statement that runs, and every one until it is lowered.
    pub(crate) fn raise(&self) {
        self.is_raised.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.is_raised.load(Ordering::SeqCst)
    }

    /// Statements run again.
    pub(crate) fn lower(&self) {
        self.is_raised.store(false, Ordering::SeqCst);
    }

    /// Statements that still run after this long are ended.
    pub(crate) fn set_deadline(&self, limit: Duration) {
        let deadline = self.start.elapsed().saturating_add(limit);
        self.deadline.store(millis(deadline), Ordering::SeqCst);
    }

    fn may_go_on(&self) -> bool {
        !self.is_raised() && millis(self.start.elapsed()) < self.deadline.load(Ordering::SeqCst)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
