//! A worker: runs the workflows and activities of a registry for one task queue.

mod activities;
pub(crate) mod carried;
pub(crate) mod drive;
mod events;
mod host;
pub(crate) mod hosted;
mod length;
mod presence;
mod run;
pub(crate) mod steps;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use aftercommit_domain::time::Clock;
use aftercommit_domain::workflows::WorkflowRegistry;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::TemporalConfig;

/// How long a worker waits before it tries again: at first, and at most.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// Runs the workflows and activities of a registry, on a thread of its own, until it is stopped.
///
/// The SDK's worker ends by errors, as by a namespace that is not there; then it is started again, later and later. A
/// server that is away is waited for. [`health`](Self::health) tells. Dropped without [`stop`](Self::stop) it stops too, and
/// nobody waits for it.
pub struct TemporalWorker {
    health: watch::Receiver<WorkerHealth>,
    answers: Arc<Answers>,
    stop: watch::Sender<Stop>,
    thread: Option<JoinHandle<()>>,
}

/// How a worker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerHealth {
    /// It has not reached the server yet.
    Starting,
    /// It takes tasks.
    Running,
    /// It takes none, for this reason, and tries again.
    Failing(String),
    /// It was stopped.
    Stopped,
}

/// When the thread of a worker last showed that nothing blocks it.
struct Answers(Mutex<Instant>);

impl Answers {
    fn new() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    fn note(&self, now: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    fn are_missing(&self, now: Instant) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        now.saturating_duration_since(last) > 3 * run::LOOK
    }
}

/// How far a worker is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stop {
    /// Not at all.
    GoOn,
    /// As soon as what runs has ended, or its grace.
    InOrder,
    /// Where it stands, as a process that is killed.
    Now,
}

/// A worker could not be started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WorkerStartError {
    /// There is nothing that it could run.
    #[error("the registry is empty: a worker needs at least one workflow or activity")]
    Nothing,
    /// Activities run on the Tokio runtime that the worker is started in.
    #[error("a worker is started within a Tokio runtime of several threads")]
    NoRuntime,
    /// The system has no thread for it.
    #[error("the system gives no thread to the worker: {0}")]
    Thread(#[source] std::io::Error),
}

impl TemporalWorker {
    pub(crate) fn start(
        config: TemporalConfig,
        registry: WorkflowRegistry,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, WorkerStartError> {
        if registry.workflow_names().next().is_none() && registry.activity_names().next().is_none() {
            return Err(WorkerStartError::Nothing);
        }
        let runtime = Handle::try_current().map_err(|_| WorkerStartError::NoRuntime)?;
        let (stop, stopped) = watch::channel(Stop::GoOn);
        let (tell, health) = watch::channel(WorkerHealth::Starting);
        let answers = Arc::new(Answers::new());
        let worker = run::Worker {
            answers: Arc::clone(&answers),
            config,
            registry: Arc::new(registry),
            clock,
            stopped,
            health: tell,
        };
        // The SDK's worker is bound to the thread it runs on; its activities run where everything else does.
        let thread = thread::Builder::new()
            .name("temporal-worker".to_owned())
            .spawn(move || runtime.block_on(worker.run_until_stopped()))
            .map_err(WorkerStartError::Thread)?;
        Ok(Self {
            health,
            answers,
            stop,
            thread: Some(thread),
        })
    }

    /// How it is.
    pub fn health(&self) -> WorkerHealth {
        if self.thread.as_ref().is_none_or(JoinHandle::is_finished) {
            return WorkerHealth::Stopped;
        }
        let health = self.health.borrow().clone();
        if health == WorkerHealth::Running && self.answers.are_missing(Instant::now()) {
            let reason = "its thread does not answer: the code of a workflow blocks it, or does not come to a step";
            return WorkerHealth::Failing(reason.to_owned());
        }
        health
    }

    /// Returns when its health is as asked for.
    pub async fn wait_until(&self, is_so: impl FnMut(&WorkerHealth) -> bool) {
        // The sender goes with the thread, and then nothing changes any more.
        let mut health = self.health.clone();
        let _gone = health.wait_for(is_so).await.is_err();
    }

    /// Takes no more tasks, lets running activities end within their grace, then tells them to, and returns when all is
    /// over. What it did not finish, another worker does.
    pub async fn stop(mut self) {
        self.end(Stop::InOrder).await;
    }

    /// Ends it where it stands. Together with the end of the runtime it was started in, that is what a killed process
    /// leaves; for tests.
    #[doc(hidden)]
    pub async fn abandon(mut self) {
        self.end(Stop::Now).await;
    }

    async fn end(&mut self, how: Stop) {
        let _gone = self.stop.send(how);
        let mut health = self.health.clone();
        let _gone = health
            .wait_for(|health| *health == WorkerHealth::Stopped)
            .await
            .is_err();
        if let Some(thread) = self.thread.take() {
            // It is about to end. A panic of it was told as its health.
            let _ended = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl Drop for TemporalWorker {
    fn drop(&mut self) {
        let _gone = self.stop.send(Stop::InOrder);
    }
}

impl fmt::Debug for TemporalWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TemporalWorker")
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_is_silent_for_long_does_not_answer() {
        let (answers, now) = (Answers::new(), Instant::now());
        answers.note(now);
        assert!(!answers.are_missing(now + 2 * run::LOOK));
        assert!(answers.are_missing(now + 4 * run::LOOK));
        answers.note(now + 4 * run::LOOK);
        assert!(!answers.are_missing(now + 4 * run::LOOK));
    }
}
