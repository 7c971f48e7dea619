//! A connection on loan from its pool.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres};
use tokio::runtime::Handle;
use tokio::time::timeout;

/// A connection on loan. When it goes back, sqlx asks it whether it still lives, and waits for the answer without an end:
/// on a link that is half open it would keep its place in the pool until the kernel gives up. Here it has a limit.
pub struct Loan {
    connection: PoolConnection<Postgres>,
    limit: Duration,
    is_spoiled: bool,
}

impl Loan {
    /// A connection that is closed unless it is back within `limit` after it was dropped.
    pub fn new(connection: PoolConnection<Postgres>, limit: Duration) -> Self {
        Self {
            connection,
            limit,
            is_spoiled: false,
        }
    }

    /// Whether it is closed instead of going back, because nobody knows what the server is doing for it.
    pub fn set_spoiled(&mut self, is_spoiled: bool) {
        self.is_spoiled = is_spoiled;
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if self.is_spoiled {
            self.connection.close_on_drop();
        } else if let Ok(runtime) = Handle::try_current() {
            let going_back = timeout(self.limit, self.connection.return_to_pool());
            // As sqlx does it itself, but not for ever. Closing the pool waits for it.
            runtime.spawn(going_back);
        }
    }
}

impl Deref for Loan {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Loan {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

impl fmt::Debug for Loan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan")
            .field("is_spoiled", &self.is_spoiled)
            .finish_non_exhaustive()
    }
}
