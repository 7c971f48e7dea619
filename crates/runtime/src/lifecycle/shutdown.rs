//! The stages of a stop: no new work, time to finish, cancelled, dropped.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::health::Health;
use crate::lifecycle::Spawner;

/// Tells every part of a process which stage of its stop it is in, and waits for what it started. Cheap to clone.
#[derive(Clone, Default)]
pub struct Shutdown {
    /// Stage 1: take no new work.
    stop: CancellationToken,
    /// Stage 2: handlers should end early.
    cancel: CancellationToken,
    /// Stage 3: what still runs is dropped, its work given back.
    abort: CancellationToken,
    /// Loops; they end in stage 1.
    loops: TaskTracker,
    /// Attempts; they may take until stage 3.
    attempts: TaskTracker,
    /// What runs them; `None` for the runtime it is called in.
    spawner: Option<Arc<dyn Spawner>>,
}

/// How long a stop takes at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShutdownGrace {
    /// For running handlers and loops to finish. Defaults to 15 s.
    pub finish: Duration,
    /// For cancelled handlers to end. Defaults to 8 s.
    pub cancel: Duration,
    /// For what was dropped to be given back and loops to end. Defaults to 2 s.
    pub release: Duration,
}

impl Default for ShutdownGrace {
    fn default() -> Self {
        Self {
            finish: Duration::from_secs(15),
            cancel: Duration::from_secs(8),
            release: Duration::from_secs(2),
        }
    }
}

/// How a stop went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopOutcome {
    /// Everything finished in its time.
    Clean,
    /// Handlers had to be cancelled; their tasks were given back.
    Cancelled,
    /// Something did not end in time; leases do the rest.
    Overrun,
}

impl Shutdown {
    /// Nothing is stopping.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing is stopping, and everything is started by `spawner`.
    pub fn with_spawner(spawner: Arc<dyn Spawner>) -> Self {
        Self {
            spawner: Some(spawner),
            ..Self::default()
        }
    }

    /// Cancelled when no new work may be taken.
    pub const fn stop_token(&self) -> &CancellationToken {
        &self.stop
    }

    /// Cancelled when running handlers should end early.
    pub const fn cancel_token(&self) -> &CancellationToken {
        &self.cancel
    }

    /// Cancelled when running handlers are dropped.
    pub const fn abort_token(&self) -> &CancellationToken {
        &self.abort
    }

    /// Starts a loop, which a stop waits for.
    pub fn spawn_loop(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.spawn(&self.loops, future);
    }

    /// Starts an attempt, which a stop waits for.
    pub fn spawn_attempt(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.spawn(&self.attempts, future);
    }

    fn spawn(&self, tracker: &TaskTracker, future: impl Future<Output = ()> + Send + 'static) {
        match &self.spawner {
            None => {
                tracker.spawn(future);
            }
            Some(spawner) => spawner.spawn(Box::pin(tracker.track_future(future))),
        }
    }

    /// Goes through the stages. Readiness goes off first.
    pub async fn stop(&self, health: &Health, grace: ShutdownGrace) -> StopOutcome {
        health.set_stopping();
        self.stop.cancel();
        self.loops.close();
        self.attempts.close();
        failpoint!(SHUTDOWN_AFTER_STOP);
        if timeout(grace.finish, self.ended()).await.is_ok() {
            return StopOutcome::Clean;
        }
        let mut outcome = StopOutcome::Clean;
        if !self.attempts.is_empty() {
            outcome = StopOutcome::Cancelled;
            self.cancel.cancel();
            failpoint!(SHUTDOWN_AFTER_CANCEL);
            if timeout(grace.cancel, self.ended()).await.is_ok() {
                return outcome;
            }
            self.abort.cancel();
            failpoint!(SHUTDOWN_AFTER_ABORT);
        }
        if timeout(grace.release, self.ended()).await.is_err() {
            outcome = StopOutcome::Overrun;
        }
        outcome
    }

    /// Returns when nothing runs any more. The loops come first: until they end they may start attempts.
    async fn ended(&self) {
        self.loops.wait().await;
        self.attempts.wait().await;
    }
}
