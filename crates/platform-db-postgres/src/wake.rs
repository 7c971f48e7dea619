//! A wake-up that cannot be missed: whoever waits says what was seen last.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Rises with every change; waiters sleep until it differs from what they saw.
#[derive(Debug, Default)]
pub struct Wake {
    epoch: AtomicU64,
    notify: Notify,
}

impl Wake {
    /// Something changed.
    pub fn bump(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.notify.notify_waiters();
    }

    /// What to say to [`changed`](Self::changed). Taken before looking at the state.
    pub fn seen(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// Returns at once when something changed since `seen`, and otherwise when it does.
    pub async fn changed(&self, seen: u64) {
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
