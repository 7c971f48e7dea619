//! The bell: other processes hear of a commit within milliseconds instead of at their next look.
//!
//! A `NOTIFY` inside the transaction it tells of would make every commit of the server wait for one lock. So it is sent
//! afterwards, by itself, and what happens meanwhile goes into the next one. It is a hint: whoever misses it finds
//! everything by looking.

mod listening;
mod ring;

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::Executor as _;
use tokio::sync::broadcast;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::statement::Statements;
use crate::wake::Wake;

pub(crate) use listening::Listening;
pub use ring::{Ring, Told};

/// The channel of `NOTIFY`. Each database has its own of this name.
pub(crate) const CHANNEL: &str = "aftercommit";
/// The time between two rings, and between two wake-ups by others: what happens meanwhile is one.
pub(crate) const PAUSE: Duration = Duration::from_millis(20);
/// How long the last ring may take before the connections are closed.
const LAST_RING: Duration = Duration::from_secs(1);
/// Rings that were heard and wait for whoever follows them. Who is slower is told that there was something.
const HEARD: usize = 64;

/// Rings for the other processes of a database, and hears theirs.
pub struct Bell {
    /// Tells this process's rings from those of others.
    process: String,
    is_on: bool,
    pending: Mutex<Ring>,
    rung: Wake,
    /// Whether someone here waits for what others do.
    is_wanted: AtomicBool,
    wanted: Wake,
    /// Whether a connection listens now.
    is_listening: AtomicBool,
    heard: broadcast::Sender<Ring>,
}

impl Bell {
    /// `process` is a number that no other process has.
    pub(crate) fn new(process: i64, is_on: bool) -> Self {
        Self {
            process: format!("{process:x}"),
            is_on,
            pending: Mutex::default(),
            rung: Wake::default(),
            is_wanted: AtomicBool::new(false),
            wanted: Wake::default(),
            is_listening: AtomicBool::new(false),
            heard: broadcast::channel(HEARD).0,
        }
    }

    /// Tells the other processes soon. Never waits.
    pub fn ring(&self, told: Told) {
        if !self.is_on {
            return;
        }
        if let Ok(mut pending) = self.pending.lock() {
            pending.add(told);
        }
        self.rung.bump();
    }

    /// What others ring from here on. Whoever lags behind looks for itself.
    pub fn listen(&self) -> broadcast::Receiver<Ring> {
        self.want();
        self.heard.subscribe()
    }

    /// Whether others are heard now, as far as this process knows. While they are, there is less need to look.
    pub fn is_listening(&self) -> bool {
        self.is_listening.load(Ordering::SeqCst)
    }

    pub(crate) fn set_listening(&self, is_listening: bool) {
        self.is_listening.store(is_listening, Ordering::SeqCst);
    }

    /// Someone here waits for what others do: only then a connection listens.
    pub(crate) fn want(&self) {
        if !self.is_wanted.swap(true, Ordering::SeqCst) {
            self.wanted.bump();
        }
    }

    /// Rings until it is closing, and then once more for what is left.
    pub(crate) async fn keep_ringing(&self, statements: Statements, closing: CancellationToken) {
        let rings = async {
            loop {
                let seen = self.rung.seen();
                self.ring_once(&statements).await;
                sleep(PAUSE).await;
                self.rung.changed(seen).await;
            }
        };
        closing.run_until_cancelled(rings).await;
        // Whoever commits and ends at once has told the others all the same.
        let _ = timeout(LAST_RING, self.ring_once(&statements)).await;
    }

    async fn ring_once(&self, statements: &Statements) {
        let ring = self.pending.lock().map(|mut pending| std::mem::take(&mut *pending));
        let Some(payload) = ring.ok().and_then(|ring| ring.payload(&self.process)) else {
            return;
        };
        let sent = statements
            .run(move |connection| {
                Box::pin(async move {
                    let notify = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(payload);
                    connection.execute(notify).await
                })
            })
            .await;
        if let Err(error) = sent {
            tracing::debug!(%error, "other processes could not be told of a commit; they look for themselves");
        }
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bell")
            .field("is_on", &self.is_on)
            .finish_non_exhaustive()
    }
}
