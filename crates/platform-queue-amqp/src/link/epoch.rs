//! One connection from its making to its loss.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use lapin::{Channel, Connection, Event};
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::link::dial::{Events, LOOK};
use crate::trouble::Trouble;

/// The longest a call may take that waits for the broker's word only.
pub(crate) const CALL_LIMIT: Duration = Duration::from_secs(5);
/// The longest a good-bye may take: nobody waits for a broker that is gone.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// After so many calls without an answer a new connection is made.
const MOST_UNANSWERED: u32 = 64;

/// One connection from its making to its loss.
pub(crate) struct Epoch {
    number: u64,
    connection: Connection,
    /// Why the broker takes nothing; `None` when it does.
    blocked: Mutex<Option<String>>,
    unanswered: AtomicU32,
    lost: CancellationToken,
    why: OnceLock<Trouble>,
}

impl Epoch {
    pub(super) fn new(number: u64, connection: Connection) -> Self {
        Self {
            number,
            connection,
            blocked: Mutex::default(),
            unanswered: AtomicU32::new(0),
            lost: CancellationToken::new(),
            why: OnceLock::new(),
        }
    }

    /// Its number; no two of a process share one.
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// Opens a channel.
    pub(crate) async fn channel(&self) -> Result<Channel, Trouble> {
        self.within(CALL_LIMIT, "open a channel", self.connection.create_channel())
            .await
    }

    /// The result of a call, if it comes in time. Whoever waited in vain gives up the channel: a queue may be without a leader
    /// while the connection is well. A connection that is dead is noticed by its heartbeats.
    pub(crate) async fn within<T>(
        &self,
        limit: Duration,
        what: &str,
        call: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, Trouble> {
        tokio::select! {
            biased;
            result = timeout(limit, call) => match result {
                Ok(result) => result.map_err(Trouble::from),
                Err(_) => Err(self.no_answer(Trouble::silent(what, limit))),
            },
            () = self.lost.cancelled() => Err(self.why()),
        }
    }

    /// Each call without an answer costs a channel, which the broker may never close.
    fn no_answer(&self, trouble: Trouble) -> Trouble {
        if self.unanswered.fetch_add(1, Ordering::Relaxed) >= MOST_UNANSWERED {
            self.fail(trouble.clone());
        }
        trouble
    }

    /// Gives it up: whoever waits for it is answered, and another one is made.
    pub(crate) fn fail(&self, why: Trouble) {
        // The first to see it says what it was.
        let _ = self.why.set(why);
        self.lost.cancel();
    }

    /// Cancelled when it is lost.
    pub(crate) const fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Why it was lost.
    pub(crate) fn why(&self) -> Trouble {
        self.why
            .get()
            .cloned()
            .unwrap_or_else(|| Trouble::away("the connection is lost"))
    }

    /// Why the broker takes nothing at present; `None` when it does.
    pub(crate) fn blocked(&self) -> Option<String> {
        self.blocked_state().clone()
    }

    fn blocked_state(&self) -> MutexGuard<'_, Option<String>> {
        self.blocked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows what the connection says of itself until it is lost. Answers why.
    pub(super) async fn until_lost(&self, mut events: Events, closing: &CancellationToken) -> Trouble {
        let mut look = interval(LOOK);
        loop {
            tokio::select! {
                biased;
                () = self.lost.cancelled() => return self.why(),
                () = closing.cancelled() => self.fail(Trouble::away("the queue is closed")),
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(reason)) => {
                        let reason = short(&reason);
                        tracing::warn!(epoch = self.number, reason, "the broker is blocked: what is published waits");
                        *self.blocked_state() = Some(reason);
                    }
                    Some(Event::ConnectionUnblocked) => {
                        tracing::info!(epoch = self.number, "the broker takes messages again");
                        *self.blocked_state() = None;
                    }
                    // Also told of channels, which concern their users only.
                    Some(Event::Error(_)) if self.connection.status().connected() => {}
                    Some(Event::Error(error)) => self.fail(error.into()),
                    Some(_) => {}
                    None => self.fail(Trouble::away("the connection ended")),
                },
                _ = look.tick() => {
                    if !self.connection.status().connected() {
                        self.fail(Trouble::away("the connection ended"));
                    }
                }
            }
        }
    }

    /// Says good-bye, and does not wait long for an answer: none comes from a broker that is blocked or gone.
    pub(super) async fn close(&self) {
        let _ = timeout(CLOSE_LIMIT, self.connection.close(200, "OK".into())).await;
    }
}

/// `low on memory` as `memory`.
fn short(reason: &str) -> String {
    let reason = reason.strip_prefix("low on ").unwrap_or(reason);
    reason.chars().filter(|c| !c.is_control()).take(80).collect()
}
