//! A task that may take its process down runs with nothing beside it, so that the next loss tells whether it did.

use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::time::{Instant, sleep_until, timeout};

/// How long others may be kept waiting at first for those that run to end. Each further try takes twice as long.
const FIRST_PATIENCE: Duration = Duration::from_secs(5);
/// After these, more than 20 minutes in all, something runs here that nothing ends.
const TRIES: u32 = 8;

/// What runs in this process beside what.
#[derive(Default)]
pub(crate) struct Isolation {
    /// Fair: who wants to be alone waits for those that run, and who comes later waits for it.
    runs: RwLock<()>,
    turn: Mutex<Turn>,
}

/// One of a process at a time; until when others are not to be kept waiting.
#[derive(Default)]
struct Turn {
    rests_until: Option<Instant>,
}

/// While it is held, a task runs here, or its end is being written.
pub(super) enum Running<'i> {
    /// Beside others.
    Beside { _runs: RwLockReadGuard<'i, ()> },
    /// With nothing beside it.
    Alone { _place: Alone<'i> },
}

/// Nothing else runs until it is dropped.
pub(super) struct Alone<'i> {
    _runs: RwLockWriteGuard<'i, ()>,
    turn: MutexGuard<'i, Turn>,
    since: Instant,
}

impl Isolation {
    /// Waits while a task runs alone, or waits for its turn to.
    pub(super) async fn beside(&self) -> Running<'_> {
        Running::Beside {
            _runs: self.runs.read().await,
        }
    }

    /// Waits until nothing runs here. Others are kept waiting for half of the time at most, so that a long handler, or many
    /// such tasks, cost no more than that. `None` when something runs that does not end.
    pub(super) async fn alone(&self) -> Option<Running<'_>> {
        let mut turn = self.turn.lock().await;
        let mut patience = FIRST_PATIENCE;
        for _ in 0..TRIES {
            if let Some(rests_until) = turn.rests_until {
                sleep_until(rests_until).await;
            }
            let since = Instant::now();
            if let Ok(runs) = timeout(patience, self.runs.write()).await {
                let place = Alone {
                    _runs: runs,
                    turn,
                    since,
                };
                return Some(Running::Alone { _place: place });
            }
            turn.rests_until = Some(Instant::now() + patience);
            patience *= 2;
        }
        None
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.turn.rests_until = Some(Instant::now() + self.since.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nothing_runs_beside_one_that_is_alone() {
        let isolation = Isolation::default();
        let beside = isolation.beside().await;
        let mut alone = Box::pin(isolation.alone());
        assert!(alone.as_mut().now_or_never().is_none(), "another runs");
        assert!(
            isolation.beside().now_or_never().is_none(),
            "who comes later waits for it"
        );
        drop(beside);
        let running = alone.await;
        assert!(running.is_some());
        assert!(isolation.beside().now_or_never().is_none());
        assert!(isolation.alone().now_or_never().is_none());
        drop(running);
        assert!(isolation.beside().now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn others_are_kept_waiting_for_half_of_the_time_at_most() {
        let isolation = Isolation::default();
        let running = isolation.alone().await;
        advance(Duration::from_mins(1)).await;
        drop(running);
        let mut next = Box::pin(isolation.alone());
        assert!(next.as_mut().now_or_never().is_none(), "the others come first");
        assert!(isolation.beside().now_or_never().is_some());
        advance(Duration::from_secs(59)).await;
        assert!(next.as_mut().now_or_never().is_none());
        assert!(isolation.beside().now_or_never().is_some());
        advance(Duration::from_secs(1)).await;
        assert!(next.await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_takes_long_holds_the_others_up_again_and_again_but_not_for_good() {
        let isolation = Isolation::default();
        let begun = Instant::now();
        let long = isolation.beside().await;
        let waiting = async {
            let running = isolation.alone().await;
            (running.is_some(), begun.elapsed())
        };
        let working = async {
            // Each of them takes no time, so what passes is how long they are kept waiting.
            let mut kept_waiting = Duration::ZERO;
            while begun.elapsed() < Duration::from_secs(100) {
                let asked = Instant::now();
                drop(isolation.beside().await);
                kept_waiting += asked.elapsed();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            drop(long);
            kept_waiting
        };
        let ((is_alone, after), kept_waiting) = tokio::join!(waiting, working);
        assert!(is_alone);
        // For 5 s, 10 s, 20 s and 40 s, each with a rest as long.
        assert!(kept_waiting >= Duration::from_secs(75), "{kept_waiting:?}");
        assert!(
            kept_waiting <= after / 2 + Duration::from_secs(1),
            "{kept_waiting:?} of {after:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_alone_beside_a_handler_that_does_not_end_and_nobody_waits_for_it_for_ever() {
        let isolation = Isolation::default();
        let _endless = isolation.beside().await;
        let begun = Instant::now();
        assert!(isolation.alone().await.is_none());
        assert!(begun.elapsed() < Duration::from_hours(1));
        assert!(isolation.beside().now_or_never().is_some());
    }
}
