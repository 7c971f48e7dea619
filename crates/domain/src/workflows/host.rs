//! What an engine gives a run: the one port each engine implements.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::contract::{ActivityName, ChangeName, RunId, SignalName, WorkflowEnvelope, WorkflowName};
use crate::time::Timestamp;
use crate::workflows::{ActivityOptions, IdReuse, StepError, WorkflowId, WorkflowProblem};

/// What an engine does for one run.
///
/// **Contract**: an engine records what becomes of steps and hands it to the run in the order in which it was recorded:
/// one thing at a time, or the same things together each time, with the run polled
/// ([`WorkflowRun::poll`](crate::workflows::WorkflowRun::poll)) in between. A run that is begun again is handed the same in the
/// same order, so it takes the same way, whichever branch of a race was first.
///
/// Steps are numbered from 1 in the order in which the code asked for them; the number is the step's identity. `begin` is
/// called at the first poll, at most once for each number and not always in their order; a number that was never polled is
/// left out.
pub trait WorkflowHost: Send + Sync {
    /// When the newest thing the run was handed was recorded; before any, when the run began.
    fn now(&self) -> Timestamp;

    /// Begins a step, or takes up one that is recorded. The future answers what became of it; it wakes nobody, because the
    /// run is polled after each thing it is handed. Dropping the future means nothing: a process that ends drops it too.
    ///
    /// # Errors
    /// [`WorkflowProblem::Nondeterministic`] when another step is recorded under this number
    /// ([`StepCommand::label`] tells them apart).
    fn begin(&self, number: StepNumber, command: StepCommand) -> Result<StepFuture, WorkflowProblem>;

    /// The code gave up a step that has not answered: a timer is taken back, an activity or a child is asked to end, a wait
    /// takes no signal any more.
    fn cancel(&self, number: StepNumber);

    /// Whether the run takes the new way of this change: it does when it reaches the place for the first time, and then
    /// always; it does not when it went past it without asking. Asked once for each change and run.
    ///
    /// # Errors
    /// A [`WorkflowProblem`] when the engine cannot tell.
    fn patched(&self, change: &ChangeName) -> Result<bool, WorkflowProblem>;

    /// Whether the run's history has become so large that it should continue as new, however few its steps are. Answers the
    /// same at the same place whenever the run is run again, so it is to be made of what is recorded. Defaults to `false`: the
    /// engine bounds no history by its size.
    fn is_long(&self) -> bool {
        false
    }
}

/// What becomes of a step, later.
pub type StepFuture = Pin<Box<dyn Future<Output = Result<Value, StepError>> + Send>>;

/// The number of a step within its run, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepNumber(pub u64);

impl fmt::Display for StepNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a step does.
#[derive(Clone, PartialEq)]
pub enum StepCommand {
    /// Runs an activity, and answers what it answered.
    Activity {
        /// Its name.
        name: ActivityName,
        /// What it is given.
        input: Value,
        /// How long it may take, and how often it is tried.
        options: ActivityOptions,
    },
    /// Waits, and answers `null`.
    Sleep {
        /// How long.
        duration: Duration,
    },
    /// Takes the oldest unread signal of this name, or the next that comes, and answers what it says.
    WaitSignal {
        /// The signal's name.
        name: SignalName,
    },
    /// Runs a child, and answers what it answered. A child whose parent closed, however it closed, is cancelled.
    Child {
        /// Its id.
        id: WorkflowId,
        /// Whether its id may have been used before.
        reuse: IdReuse,
        /// What it is started with.
        input: Box<WorkflowEnvelope>,
    },
}

impl StepCommand {
    /// What it is, for people and for telling whether a recorded step is this one: `activity charge-card`, `sleep`,
    /// `signal payment-received`, `child collect-payment`.
    pub fn label(&self) -> String {
        match self {
            Self::Activity { name, .. } => format!("activity {name}"),
            Self::Sleep { .. } => "sleep".into(),
            Self::WaitSignal { name } => format!("signal {name}"),
            Self::Child { id, .. } => format!("child {}", id.name()),
        }
    }
}

impl fmt::Debug for StepCommand {
    /// Without what it is given, which does not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label())
    }
}

/// What is known of a run from its beginning.
#[derive(Debug, Clone)]
pub struct RunInfo {
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// The run.
    pub run_id: RunId,
    /// When it began.
    pub started_at: Timestamp,
    /// What its random numbers and ids are made of: drawn when the run began, and recorded.
    pub seed: Uuid,
    /// What it was started with.
    pub input: WorkflowEnvelope,
}

impl RunInfo {
    /// Which workflow's code runs it.
    pub const fn workflow(&self) -> &WorkflowName {
        self.workflow_id.name()
    }
}
