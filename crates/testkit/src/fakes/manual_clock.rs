//! A clock that moves only when a test moves it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aftercommit_domain::time::{Clock, Timestamp, after, seconds, to_micros};

/// A clock that moves only when a test moves it. Clones share the time. Starts at 2026-01-01T00:00:00Z.
///
/// ```
/// use aftercommit_domain::time::{Clock, minutes};
/// use aftercommit_testkit::ManualClock;
///
/// let clock = ManualClock::default();
/// let before = clock.now();
/// clock.advance(minutes(5));
/// assert_eq!(clock.now() - before, chrono::Duration::minutes(5));
/// ```
#[derive(Clone)]
pub struct ManualClock {
    shared: Arc<Shared>,
}

struct Shared {
    now: Mutex<Timestamp>,
    listeners: Mutex<Vec<Listener>>,
}

type Listener = Arc<dyn Fn() + Send + Sync>;

impl ManualClock {
    /// A clock that shows `start`.
    pub fn starting_at(start: Timestamp) -> Self {
        Self {
            shared: Arc::new(Shared {
                now: Mutex::new(to_micros(start)),
                listeners: Mutex::default(),
            }),
        }
    }

    /// Moves the time forward.
    pub fn advance(&self, by: Duration) {
        {
            let mut now = lock(&self.shared.now);
            *now = to_micros(after(*now, by));
        }
        self.tell();
    }

    /// Moves the time to `time`, which may be earlier: a machine's clock can be set back, too.
    pub fn set(&self, time: Timestamp) {
        *lock(&self.shared.now) = to_micros(time);
        self.tell();
    }

    /// Calls `listener` after each change. A provider that sleeps until something is due is woken this way, because no
    /// real timer follows this clock.
    pub fn on_change(&self, listener: impl Fn() + Send + Sync + 'static) {
        lock(&self.shared.listeners).push(Arc::new(listener));
    }

    fn tell(&self) {
        // Called without the lock, so that a listener may read or even move the clock.
        let listeners = lock(&self.shared.listeners).clone();
        for listener in &listeners {
            listener();
        }
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::starting_at(after(Timestamp::UNIX_EPOCH, seconds(1_767_225_600)))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *lock(&self.shared.now)
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ManualClock").field(&self.now()).finish()
    }
}

/// A test that failed while it held the lock must not fail the others.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn the_time_moves_only_when_it_is_moved_and_listeners_hear_of_it() {
        let clock = ManualClock::default();
        assert_eq!(clock.now().to_rfc3339(), "2026-01-01T00:00:00+00:00");
        let heard = Arc::new(AtomicU32::new(0));
        clock.on_change({
            let heard = Arc::clone(&heard);
            move || {
                heard.fetch_add(1, Ordering::SeqCst);
            }
        });
        clock.advance(seconds(90));
        assert_eq!(clock.clone().now().to_rfc3339(), "2026-01-01T00:01:30+00:00");
        clock.set(Timestamp::UNIX_EPOCH);
        assert_eq!(clock.now(), Timestamp::UNIX_EPOCH);
        assert_eq!(heard.load(Ordering::SeqCst), 2);
    }
}
