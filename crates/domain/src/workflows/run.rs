//! One run of a workflow's code, as an engine drives it.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use serde_json::Value;

use crate::time::Timestamp;
use crate::workflows::host::{RunInfo, StepNumber, WorkflowHost};
use crate::workflows::run_state::RunState;
use crate::workflows::{Exit, WorkflowContext, WorkflowProblem, WorkflowRegistry};

/// One run of a workflow's code, as an engine drives it.
///
/// An engine polls it at first, and then each time after it has handed it something: the answer of a step, a signal, a
/// cancellation. It holds no lock of its own while it polls, because the code calls its [`WorkflowHost`] meanwhile. Dropping
/// the run says nothing about the workflow: its steps go on, and a new `WorkflowRun` with the same history takes it up.
pub struct WorkflowRun {
    state: Arc<RunState>,
    code: RunFuture,
}

/// What the code of one run comes to.
pub type RunFuture = Pin<Box<dyn Future<Output = Result<Value, Exit>> + Send>>;

/// How far a run has come.
#[derive(Clone, PartialEq)]
pub enum RunProgress {
    /// It waits for at least one of its steps.
    Waiting,
    /// It has ended.
    Ended(Result<Value, Exit>),
    /// It cannot go on. Dropped, and begun again later from what is recorded, it may.
    Stuck(WorkflowProblem),
}

impl fmt::Debug for RunProgress {
    /// Without its answer, which does not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting => f.write_str("Waiting"),
            Self::Ended(Ok(_)) => f.write_str("Ended(Ok(..))"),
            Self::Ended(Err(exit)) => write!(f, "Ended(Err({exit:?}))"),
            Self::Stuck(problem) => f.debug_tuple("Stuck").field(problem).finish(),
        }
    }
}

/// A step that a workflow waits for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct WaitingStep {
    /// Which step.
    pub number: StepNumber,
    /// What it is, such as `activity charge-card`.
    pub label: String,
    /// Since when.
    pub since: Timestamp,
}

impl WorkflowRun {
    /// Begins a run's code, for the first time or again.
    ///
    /// # Errors
    /// [`WorkflowProblem::Unknown`] and [`WorkflowProblem::Unreadable`]: this build does not know the workflow, or the
    /// version of its input.
    pub fn new(
        registry: &WorkflowRegistry,
        info: RunInfo,
        host: Arc<dyn WorkflowHost>,
    ) -> Result<Self, WorkflowProblem> {
        let workflow = registry
            .workflow(info.workflow())
            .ok_or_else(|| WorkflowProblem::Unknown {
                name: info.workflow().to_string(),
            })?;
        let state = Arc::new(RunState::new(host, info, registry.codec().clone()));
        let code = workflow.begin(
            WorkflowContext::new(Arc::clone(&state)),
            &state.info.input,
            &state.codec,
        )?;
        Ok(Self { state, code })
    }

    /// Runs the code until it waits or ends. Not to be called after it ended or got stuck.
    ///
    /// Nothing the code may await wakes anybody: it is polled after each thing it is handed. So it is given a waker of its
    /// own, and whoever takes that is found.
    pub fn poll(&mut self, _: &mut Context<'_>) -> RunProgress {
        self.state.forget_awaited();
        let taken = Arc::new(Foreign::default());
        let polled = {
            let waker = Waker::from(Arc::clone(&taken));
            let mut cx = Context::from_waker(&waker);
            catch_unwind(AssertUnwindSafe(|| self.code.as_mut().poll(&mut cx)))
        };
        let is_foreign = taken.is_woken.load(Ordering::SeqCst) || Arc::strong_count(&taken) > 1;
        // Whatever the code made of it, a problem of the run comes first.
        if let Some(problem) = self.state.problem() {
            return RunProgress::Stuck(problem);
        }
        match polled {
            Err(panic) => RunProgress::Stuck(WorkflowProblem::Panicked {
                message: panic_message(&*panic),
            }),
            Ok(Poll::Ready(end)) => RunProgress::Ended(end),
            Ok(Poll::Pending) if self.state.is_awaited() && !is_foreign => RunProgress::Waiting,
            Ok(Poll::Pending) => RunProgress::Stuck(WorkflowProblem::ForeignAwait),
        }
    }

    /// The workflow is to end: recorded, and then handed to the run. It is to be polled afterwards.
    pub fn cancel(&self) {
        self.state.cancel();
    }

    /// What it has published, by key.
    pub fn published(&self) -> BTreeMap<String, Value> {
        self.state.published()
    }

    /// What it has published last under `key`.
    pub fn published_value(&self, key: &str) -> Option<Value> {
        self.state.published_value(key)
    }

    /// The steps it waits for, the one that was asked for first in front.
    pub fn waiting(&self) -> Vec<WaitingStep> {
        self.state.waiting()
    }
}

/// What a foreign future would wake: it is kept by one that waits, and woken by one that is done.
#[derive(Default)]
struct Foreign {
    is_woken: AtomicBool,
}

impl Wake for Foreign {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::SeqCst);
    }
}

impl Drop for WorkflowRun {
    fn drop(&mut self) {
        // The steps are dropped after this, and must not be taken for given up.
        self.state.leave();
    }
}

/// The words of a panic.
pub(super) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".into())
}
