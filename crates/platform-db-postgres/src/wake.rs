//! A wake-up that cannot be missed: whoever waits says what was seen last.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::bell::{Bell, Told};

/// For how long someone else's commit is looked for often, once it is expected.
const EXPECTED_FOR: Duration = Duration::from_millis(500);
/// How often it is looked for meanwhile.
const OFTEN: Duration = Duration::from_millis(10);

/// Rises with every change; waiters sleep until it differs from what they saw.
#[derive(Debug, Default)]
pub struct Wake {
    epoch: AtomicU64,
    notify: Notify,
    expected_until: Mutex<Option<Instant>>,
    /// How many wait.
    waiting: AtomicUsize,
    /// Tells other processes.
    bell: Option<Arc<Bell>>,
}

impl Wake {
    /// One that other processes share.
    pub(crate) fn shared(bell: Arc<Bell>) -> Self {
        Self {
            bell: Some(bell),
            ..Self::default()
        }
    }

    /// Something changed, as far as this process is concerned.
    pub fn bump(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.notify.notify_waiters();
    }

    /// Something was committed: for whoever waits here, or else in other processes.
    pub fn committed(&self) {
        let has_waiter = self.waiting.load(Ordering::SeqCst) > 0;
        self.bump();
        // Whoever waits takes it now; the others would find nothing.
        if let Some(bell) = &self.bell
            && !has_waiter
        {
            bell.ring(Told::Outbox);
        }
    }

    /// Something will change soon, by a commit that this library does not see.
    pub fn expect(&self) {
        let has_waiter = self.waiting.load(Ordering::SeqCst) > 0;
        self.expect_here();
        if let Some(bell) = &self.bell
            && !has_waiter
        {
            bell.ring(Told::OutboxExpected);
        }
    }

    /// The same, as far as this process is concerned.
    pub(crate) fn expect_here(&self) {
        if let Ok(mut until) = self.expected_until.lock() {
            *until = Some(Instant::now() + EXPECTED_FOR);
        }
        self.bump();
    }

    /// How long to sleep at most: `idle`, or little while a change is expected.
    pub fn patience(&self, idle: Duration) -> Duration {
        let until = self.expected_until.lock().ok().and_then(|until| *until);
        match until {
            Some(until) if Instant::now() < until => OFTEN.min(idle),
            _ => idle,
        }
    }

    /// What to say to [`changed`](Self::changed). Taken before looking at the state.
    pub fn seen(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// Returns at once when something changed since `seen`, and otherwise when it does.
    pub async fn changed(&self, seen: u64) {
        if let Some(bell) = &self.bell {
            bell.want();
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waiting = Waiting(&self.waiting);
        let notified = self.notify.notified();
        tokio::pin!(notified);
        loop {
            // Registered before the look, so that a change in between is not missed.
            notified.as_mut().enable();
            if self.seen() != seen {
                return;
            }
            notified.as_mut().await;
            notified.set(self.notify.notified());
        }
    }
}

/// Someone who waits until this is dropped.
struct Waiting<'w>(&'w AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
