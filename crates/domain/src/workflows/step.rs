//! A step of a workflow, as its code awaits it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use serde_json::Value;

use crate::workflows::host::{StepCommand, StepFuture, StepNumber};
use crate::workflows::run_state::RunState;
use crate::workflows::{WorkflowFailure, WorkflowProblem};

/// Something a workflow waits for: an activity, a timer, a signal, a child.
///
/// Its number is fixed when it is made; nothing happens before it is awaited for the first time. **Dropping it before it
/// answered cancels it.**
#[must_use = "a step does nothing until it is awaited"]
pub struct Step<T> {
    run: Arc<RunState>,
    number: StepNumber,
    is_detached: bool,
    stage: Stage,
    read: Read<T>,
}

/// Why a step did not answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StepError {
    /// The workflow is to end: clean up in [`WorkflowContext::detached`](crate::workflows::WorkflowContext::detached), and
    /// pass it on.
    #[error("the workflow was cancelled")]
    Cancelled,
    /// It failed.
    #[error(transparent)]
    Failed(#[from] WorkflowFailure),
}

/// Makes the answer of what the engine recorded.
pub(super) type Read<T> = fn(Value) -> Result<T, WorkflowFailure>;

enum Stage {
    /// Not polled yet.
    Made(Result<StepCommand, WorkflowFailure>),
    /// The engine has it.
    Begun(StepFuture),
    /// It answered, or the run is in trouble.
    Over,
}

impl<T> Step<T> {
    pub(super) fn new(
        run: Arc<RunState>,
        is_detached: bool,
        command: Result<StepCommand, WorkflowFailure>,
        read: Read<T>,
    ) -> Self {
        Self {
            number: run.next_step(),
            run,
            is_detached,
            stage: Stage::Made(command),
            read,
        }
    }

    fn begin(&self, command: StepCommand) -> Result<StepFuture, WorkflowProblem> {
        let label = command.label();
        let future = self.run.host.begin(self.number, command)?;
        self.run.step_began(self.number, label);
        Ok(future)
    }

    /// The engine is told that nobody waits any more.
    fn give_up(&mut self) {
        if let Stage::Begun(future) = std::mem::replace(&mut self.stage, Stage::Over) {
            if self.run.step_ended(self.number) {
                self.run.host.cancel(self.number);
            }
            drop(future);
        }
    }

    /// The run cannot go on: it is found to be in trouble as soon as it is pending.
    fn trouble(&mut self, problem: WorkflowProblem) -> Poll<Result<T, StepError>> {
        self.stage = Stage::Over;
        self.run.trouble(problem);
        Poll::Pending
    }
}

// Nothing in it is pinned in place: the engine's future is behind a pointer of its own.
impl<T> Unpin for Step<T> {}

impl<T> Future for Step<T> {
    type Output = Result<T, StepError>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if self.run.is_in_trouble() {
            return Poll::Pending;
        }
        if !self.is_detached && self.run.is_cancelled() && !matches!(self.stage, Stage::Over) {
            self.give_up();
            self.stage = Stage::Over;
            return Poll::Ready(Err(StepError::Cancelled));
        }
        let mut future = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Over => {
                let step = self.number.0;
                return self.trouble(WorkflowProblem::AwaitedTwice { step });
            }
            Stage::Made(Err(refused)) => return Poll::Ready(Err(refused.into())),
            Stage::Made(Ok(command)) => match self.begin(command) {
                Ok(future) => future,
                Err(problem) => return self.trouble(problem),
            },
            Stage::Begun(future) => future,
        };
        // An engine may keep a waker, which is no sign of a foreign future; it polls the run in any case.
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => {
                self.run.step_is_awaited();
                self.stage = Stage::Begun(future);
                Poll::Pending
            }
            Poll::Ready(answer) => {
                self.run.step_ended(self.number);
                let read = self.read;
                Poll::Ready(answer.and_then(|value| read(value).map_err(StepError::from)))
            }
        }
    }
}

impl<T> Drop for Step<T> {
    fn drop(&mut self) {
        self.give_up();
    }
}
