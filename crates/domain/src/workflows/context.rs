//! What a workflow's code works with.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use serde::Serialize;
use uuid::Uuid;

use crate::contract::{Cause, ChangeName, Contract, RunId, Tenant, TenantMismatch, WorkflowEnvelope, WorkflowKey};
use crate::ids::MessageId;
use crate::time::{Timestamp, days};
use crate::workflows::combinators::{self, Either};
use crate::workflows::host::StepCommand;
use crate::workflows::run_state::{LONG_RUN, RunState};
use crate::workflows::step::Read;
use crate::workflows::{
    Activity, ActivityOptions, Exit, Step, Workflow, WorkflowFailure, WorkflowId, WorkflowInput, WorkflowSignal, values,
};

/// What a workflow's code works with: everything it may await, ask and say. The same on every engine.
///
/// A step that is asked for when the workflow is cancelled, or waits then, answers
/// [`Cancelled`](crate::workflows::StepError::Cancelled); what is to be done all the same is asked of
/// [`detached`](Self::detached).
#[derive(Clone)]
pub struct WorkflowContext {
    run: Arc<RunState>,
    is_detached: bool,
}

/// The longest time a step may sleep: ten years.
const LONGEST_SLEEP: Duration = days(3653);

/// What it waits for.
impl WorkflowContext {
    pub(super) const fn new(run: Arc<RunState>) -> Self {
        Self {
            run,
            is_detached: false,
        }
    }

    /// Runs an activity, at least once, and answers what it answered.
    pub fn activity<A: Activity>(&self, input: &A::Input, options: ActivityOptions) -> Step<A::Output> {
        let input = values::write(
            input,
            self.run.codec.limits(),
            format_args!("the input of the activity {}", A::NAME),
        );
        let command = input.map(|input| StepCommand::Activity {
            name: A::NAME,
            input,
            options,
        });
        self.step(command, values::read)
    }

    /// Waits this long, whatever happens to processes meanwhile: at least a millisecond and at most ten years. Engines may be
    /// late by a second.
    pub fn sleep(&self, duration: Duration) -> Step<()> {
        // Servers refuse timers of no time and of more than they can count.
        let duration = duration.clamp(Duration::from_millis(1), LONGEST_SLEEP);
        self.step(Ok(StepCommand::Sleep { duration }), |_| Ok(()))
    }

    /// Takes the oldest unread signal `S`, or the next that comes. Signals are kept from the start of the run until they are
    /// taken, also over [`continue_as_new`](Self::continue_as_new); what is unread at the end is dropped.
    pub fn wait_signal<S: WorkflowSignal>(&self) -> Step<S> {
        self.step(Ok(StepCommand::WaitSignal { name: S::NAME }), values::read)
    }

    /// Runs another workflow of the same tenant as a child, and answers what it answered. A child that fails, is cancelled
    /// or terminated by somebody else, or whose id is taken, is a failed step.
    pub fn child<W: Workflow>(&self, key: impl fmt::Display, input: &W::Input) -> Step<W::Output> {
        // Drawn for every child, whatever becomes of it, so that what follows draws the same.
        let id = MessageId::from(self.run.draw());
        let command = self.envelope(input, id).and_then(|input| {
            let key = WorkflowKey::new(key.to_string())
                .map_err(|invalid| WorkflowFailure::permanent("name.invalid", invalid.to_string()))?;
            Ok(StepCommand::Child {
                id: WorkflowId::new(input.tenant.clone(), W::NAME, key),
                reuse: W::Input::REUSE,
                input: Box::new(input),
            })
        });
        self.step(command, values::read)
    }

    /// Returns when the workflow is to end.
    pub async fn cancelled(&self) {
        poll_fn(|_| {
            if self.run.is_cancelled() {
                return Poll::Ready(());
            }
            self.run.step_is_awaited();
            Poll::Pending
        })
        .await;
    }

    /// Awaits all of `futures` at once. Answers in their order; ordered itself, so that it runs the same each time.
    pub async fn join_all<F: Future>(&self, futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
        combinators::join_all(futures).await
    }

    /// Awaits the first of `futures` to be ready, and drops the others, which cancels their steps. Answers its position too.
    /// Of several that are ready the first in order wins. Never ready when there are none.
    pub async fn race<F: Future>(&self, futures: impl IntoIterator<Item = F>) -> (usize, F::Output) {
        combinators::race(futures).await
    }

    /// The race of two that answer different things.
    pub async fn either<A: Future, B: Future>(&self, first: A, second: B) -> Either<A::Output, B::Output> {
        combinators::either(first, second).await
    }
}

/// What it asks and says.
impl WorkflowContext {
    /// The same context for clean-up: its steps take no notice of a cancellation.
    pub fn detached(&self) -> Self {
        Self {
            is_detached: true,
            ..self.clone()
        }
    }

    /// The time, as far as the workflow can know it: when what it was told last was recorded.
    pub fn now(&self) -> Timestamp {
        self.run.now()
    }

    /// A new id, the same whenever the run is run again. Not for secrets: whoever knows the history can tell it.
    pub fn uuid(&self) -> Uuid {
        self.run.draw()
    }

    /// A random number, the same whenever the run is run again. Not for secrets.
    pub fn random(&self) -> u64 {
        self.run.draw().as_u64_pair().1.wrapping_mul(MIXED)
    }

    /// Sets what a query of `key` reads from now on, also when the workflow has closed: 1 to 120 bytes, at most
    /// [`MOST_PUBLISHED`](crate::workflows::MOST_PUBLISHED) keys.
    ///
    /// # Errors
    /// A key or value over the limits.
    pub fn publish<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<(), WorkflowFailure> {
        let value = values::write(value, self.run.codec.limits(), "a published value")?;
        self.run.publish(key, value)
    }

    /// Whether the run takes the new way of a change of the code: not when it went past this place before the change was
    /// deployed. The name stays as long as any such run can be read again.
    ///
    /// # Panics
    /// When `change` is no lower-kebab-case name; the run is shown as stuck until it is one.
    pub fn patched(&self, change: &'static str) -> bool {
        self.run.patched(&ChangeName::constant(change))
    }

    /// Whether the run has become so long that it should [continue as new](Self::continue_as_new): after
    /// [`LONG_RUN`](crate::workflows::LONG_RUN) steps, or earlier when its engine says that their bytes are many. Every step
    /// stays in the run's history, which is read again whenever the run is taken up, and which no engine lets grow without end.
    pub fn should_continue_as_new(&self) -> bool {
        self.run.steps() >= LONG_RUN || self.run.host.is_long()
    }

    /// Whether the workflow is to end.
    pub fn is_cancelled(&self) -> bool {
        self.run.is_cancelled()
    }

    /// To return as an error: the workflow goes on as a new run of the same id with this input, which keeps its history
    /// short. Unread signals go with it; published values do not.
    ///
    /// ```text
    /// return Err(ctx.continue_as_new(&next));
    /// ```
    pub fn continue_as_new<I: WorkflowInput>(&self, input: &I) -> Exit {
        match self.envelope(input, MessageId::from(self.run.draw())) {
            Ok(_) if I::NAME != *self.run.info.workflow() => Exit::failed(
                "workflow.other_input",
                format!("{} cannot go on as {}", self.run.info.workflow(), I::NAME),
            ),
            Ok(input) if input.tenant != *self.tenant() => Exit::failed(
                "tenant.mismatch",
                format!(
                    "a workflow of {} cannot go on as one of {}",
                    self.tenant(),
                    input.tenant
                ),
            ),
            Ok(input) => Exit::ContinueAsNew(Box::new(input)),
            Err(failure) => Exit::Failed(failure),
        }
    }

    /// The workflow.
    pub fn workflow_id(&self) -> &WorkflowId {
        &self.run.info.workflow_id
    }

    /// This run of it.
    pub fn run_id(&self) -> &RunId {
        &self.run.info.run_id
    }

    /// Whose it is.
    pub fn tenant(&self) -> &Tenant {
        self.run.info.workflow_id.tenant()
    }

    /// When this run began.
    pub fn started_at(&self) -> Timestamp {
        self.run.info.started_at
    }

    /// What activities begin units of work and publish with, so that the tree of causes stays whole.
    pub fn cause(&self) -> Cause {
        self.run.info.input.cause_of_next()
    }

    fn step<T>(&self, command: Result<StepCommand, WorkflowFailure>, read: Read<T>) -> Step<T> {
        Step::new(Arc::clone(&self.run), self.is_detached, command, read)
    }

    /// What another run, of this workflow or of a child, is started with.
    fn envelope<I: WorkflowInput>(&self, input: &I, id: MessageId) -> Result<WorkflowEnvelope, WorkflowFailure> {
        let tenant = input.tenant();
        if !self.tenant().may_write_for(&tenant) {
            return Err(WorkflowFailure::permanent(
                "tenant.mismatch",
                TenantMismatch {
                    what: format!("the workflow {}", I::NAME),
                    got: tenant,
                    expected: self.tenant().clone(),
                }
                .to_string(),
            ));
        }
        Ok(WorkflowEnvelope {
            id,
            workflow: I::NAME,
            version: <I as Contract>::VERSION,
            tenant,
            cause: self.cause(),
            payload: self.run.codec.encode(input, id)?,
        })
    }
}

/// Spreads the two fixed groups of bits that a UUID has over the whole number.
const MIXED: u64 = 0x9e37_79b9_7f4a_7c15;

impl fmt::Debug for WorkflowContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkflowContext")
            .field("workflow_id", self.workflow_id())
            .field("run_id", self.run_id())
            .finish_non_exhaustive()
    }
}
