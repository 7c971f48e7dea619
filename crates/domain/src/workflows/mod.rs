//! Durable workflows: written once against [`WorkflowContext`], run by any engine.
//!
//! For those who write workflows: [`Workflow`], [`Activity`], [`WorkflowInput`], [`WorkflowSignal`]. For those who start and
//! watch them: [`WorkflowStarter`], [`WorkflowQuerier`]. For those who build an engine: [`WorkflowRun`] is the code,
//! [`WorkflowHost`] is what it asks of the engine, [`WorkflowRegistry`] is what can be run. Everything that must be the same
//! on every engine is decided here: numbers of steps, races, cancellation, random numbers, and that a workflow which waits
//! for something no engine can record is stuck at once.

mod activity;
mod activity_context;
mod combinators;
mod context;
mod failure;
mod host;
mod id;
mod querier;
mod registry;
mod requests;
mod run;
mod run_state;
mod starter;
mod step;
mod values;
mod workflow;

pub use activity::{Activity, ActivityError, ActivityOptions, FailedAttempt};
pub use activity_context::{ActivityContext, ActivityContextParts, ActivityHost};
pub use aftercommit_domain_macros::WorkflowInput;
pub use combinators::Either;
pub use context::WorkflowContext;
pub use failure::{WorkflowFailure, WorkflowProblem};
pub use host::{RunInfo, StepCommand, StepFuture, StepNumber, WorkflowHost};
pub use id::WorkflowId;
pub use querier::{
    WorkflowDescription, WorkflowEnd, WorkflowFilter, WorkflowPage, WorkflowQuerier, WorkflowQueryError,
    WorkflowStatus, WorkflowSummary,
};
pub use registry::{AttemptFuture, DynActivity, DynWorkflow, RegisteredTwice, WorkflowRegistry};
pub use requests::{
    SIGNAL_TASK, SIGNAL_WITH_START_TASK, START_TASK, WORKFLOW_REQUESTS_TOPIC, WorkflowOutboxExt, WorkflowRequest,
};
pub use run::{RunFuture, RunProgress, WaitingStep, WorkflowRun};
pub use run_state::{LONG_RUN, MOST_PUBLISHED};
pub use starter::{
    ExternalWorkflow, SignalRequest, StartRequest, StopRequest, WorkflowRequestError, WorkflowStartError,
    WorkflowStarter,
};
pub use step::{Step, StepError};
pub use workflow::{Exit, IdReuse, Workflow, WorkflowInput, WorkflowSignal};
