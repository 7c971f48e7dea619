//! What a workflow is: its input's contract, its code, and how it ends.

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::contract::{Contract, SignalName, WorkflowEnvelope, WorkflowName};
use crate::workflows::{StepError, WorkflowContext, WorkflowFailure};

/// The code of a durable workflow: decides what is done next, and leaves every effect to activities.
///
/// Written once, it runs on every engine. An engine may run it again from its beginning at any time, with what its steps
/// answered before, so it must take the same way each time: no clock, no randomness, no environment, no I/O, no spawning,
/// no order of a hash map; only pure computing and what [`WorkflowContext`] gives. Awaiting anything else is a mistake that
/// shows at once ([`WorkflowProblem::ForeignAwait`](crate::workflows::WorkflowProblem::ForeignAwait)).
///
/// ```
/// use aftercommit_domain::contract::{OrganizationId, ProjectId, SignalName};
/// use aftercommit_domain::time::days;
/// use aftercommit_domain::workflows::{Either, Exit, Workflow, WorkflowContext, WorkflowInput, WorkflowSignal};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, WorkflowInput)]
/// #[workflow(name = "collect-payment", version = 1)]
/// struct CollectPayment {
///     organization_id: OrganizationId,
///     project_id: ProjectId,
///     invoice_id: i64,
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct PaymentReceived;
///
/// impl WorkflowSignal for PaymentReceived {
///     const NAME: SignalName = SignalName::constant("payment-received");
/// }
///
/// struct CollectingPayment;
///
/// #[async_trait::async_trait]
/// impl Workflow for CollectingPayment {
///     type Input = CollectPayment;
///     type Output = bool;
///
///     async fn run(&self, ctx: &WorkflowContext, _: CollectPayment) -> Result<bool, Exit> {
///         match ctx.either(ctx.wait_signal::<PaymentReceived>(), ctx.sleep(days(14))).await {
///             Either::First(received) => received.map(|_| true).map_err(Exit::from),
///             Either::Second(slept) => slept.map(|()| false).map_err(Exit::from),
///         }
///     }
/// }
/// ```
#[async_trait]
pub trait Workflow: Send + Sync + 'static {
    /// What it is started with; names it.
    type Input: WorkflowInput;
    /// What it answers.
    type Output: Serialize + DeserializeOwned + Send + 'static;

    /// Its name.
    const NAME: WorkflowName = <Self::Input as WorkflowInput>::NAME;

    /// Runs it.
    ///
    /// # Errors
    /// [`Exit`]: it failed, was cancelled, or goes on as a new run. A failed or cancelled step becomes one through `?`.
    async fn run(&self, ctx: &WorkflowContext, input: Self::Input) -> Result<Self::Output, Exit>;
}

/// The contract of what a workflow is started with. Derived with
/// `#[derive(WorkflowInput)] #[workflow(name = "collect-payment", version = 1)]`; whoever starts the workflow needs nothing
/// but this. The rules for tenants, versions and fields are those of events and tasks.
pub trait WorkflowInput: Contract {
    /// The workflow's name.
    const NAME: WorkflowName;

    /// Whether it may be started again under an id that was used. Defaults to [`IdReuse::AfterClose`];
    /// `#[workflow(…, once_ever)]` makes it [`IdReuse::OnceEver`].
    const REUSE: IdReuse = IdReuse::AfterClose;
}

/// Whether a workflow may be started under an id that was used. While one runs, never.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IdReuse {
    /// After the one before has closed, however it ended.
    #[default]
    AfterClose,
    /// Never, as long as the engine remembers the one before.
    OnceEver,
}

/// What is told to a workflow while it runs.
pub trait WorkflowSignal: Serialize + DeserializeOwned + Send + 'static {
    /// The signal's name.
    const NAME: SignalName;
}

/// How a workflow ends other than by its answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Exit {
    /// It failed.
    Failed(WorkflowFailure),
    /// It was cancelled, and has cleaned up.
    Cancelled,
    /// It goes on as a new run of the same id with this input: [`WorkflowContext::continue_as_new`] makes it.
    ContinueAsNew(Box<WorkflowEnvelope>),
}

impl Exit {
    /// It failed for this reason, and would again.
    pub fn failed(kind: &'static str, message: impl AsRef<str>) -> Self {
        Self::Failed(WorkflowFailure::permanent(kind, message))
    }
}

impl From<StepError> for Exit {
    fn from(error: StepError) -> Self {
        match error {
            StepError::Cancelled => Self::Cancelled,
            StepError::Failed(failure) => Self::Failed(failure),
        }
    }
}

impl From<WorkflowFailure> for Exit {
    fn from(failure: WorkflowFailure) -> Self {
        Self::Failed(failure)
    }
}
