//! An engine that a test holds in its hands: it answers a step when told.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use aftercommit_domain::contract::{
    Cause, ChangeName, Codec, Json, Limits, OrganizationId, ProjectId, RunId, Tenant, WorkflowEnvelope, WorkflowKey,
};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::workflows::{
    Exit, RunInfo, RunProgress, StepCommand, StepError, StepFuture, StepNumber, Workflow, WorkflowContext,
    WorkflowHost, WorkflowId, WorkflowInput, WorkflowProblem, WorkflowRegistry, WorkflowRun,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::test_sealer::TestSealer;

#[derive(Serialize, Deserialize, WorkflowInput)]
#[workflow(name = "sample", version = 1)]
pub(crate) struct Sample {
    pub(crate) organization_id: OrganizationId,
    pub(crate) project_id: ProjectId,
}

impl Sample {
    pub(crate) fn of_project(project: i64) -> Self {
        Self {
            organization_id: 7.into(),
            project_id: project.into(),
        }
    }
}

pub(crate) type Code = Pin<Box<dyn Future<Output = Result<Value, Exit>> + Send>>;

/// A workflow whose code is a closure.
pub(crate) struct Coded<F>(pub(crate) F);

#[async_trait::async_trait]
impl<F: Fn(WorkflowContext) -> Code + Send + Sync + 'static> Workflow for Coded<F> {
    type Input = Sample;
    type Output = Value;

    async fn run(&self, ctx: &WorkflowContext, _: Sample) -> Result<Value, Exit> {
        (self.0)(ctx.clone()).await
    }
}

/// What the host was asked, and what it answers.
#[derive(Default)]
pub(crate) struct Host {
    pub(crate) begun: Mutex<Vec<(u64, String)>>,
    pub(crate) cancelled: Mutex<Vec<u64>>,
    pub(crate) is_long: AtomicBool,
    pub(crate) sleeps: Mutex<Vec<Duration>>,
    pub(crate) patched: Mutex<Vec<String>>,
    answers: Mutex<BTreeMap<u64, Result<Value, StepError>>>,
    recorded: Mutex<BTreeMap<u64, String>>,
}

impl Host {
    pub(crate) fn answer(&self, step: u64, answer: Result<Value, StepError>) {
        self.answers.lock().unwrap().insert(step, answer);
    }

    /// An earlier build asked for something else under this number.
    pub(crate) fn record(&self, step: u64, label: &str) {
        self.recorded.lock().unwrap().insert(step, label.into());
    }

    pub(crate) fn begun_numbers(&self) -> Vec<u64> {
        self.begun.lock().unwrap().iter().map(|(number, _)| *number).collect()
    }

    pub(crate) fn cancelled(&self) -> Vec<u64> {
        self.cancelled.lock().unwrap().clone()
    }
}

struct Port(Arc<Host>);

impl WorkflowHost for Port {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn begin(&self, number: StepNumber, command: StepCommand) -> Result<StepFuture, WorkflowProblem> {
        let (host, step, label) = (Arc::clone(&self.0), number.0, command.label());
        if let Some(recorded) = host.recorded.lock().unwrap().get(&step)
            && *recorded != label
        {
            return Err(WorkflowProblem::Nondeterministic {
                step,
                recorded: recorded.clone(),
                asked: label,
            });
        }
        host.begun.lock().unwrap().push((step, label));
        if let StepCommand::Sleep { duration } = command {
            host.sleeps.lock().unwrap().push(duration);
        }
        Ok(Box::pin(std::future::poll_fn(move |_| {
            match host.answers.lock().unwrap().get(&step) {
                Some(answer) => Poll::Ready(answer.clone()),
                None => Poll::Pending,
            }
        })))
    }

    fn cancel(&self, number: StepNumber) {
        self.0.cancelled.lock().unwrap().push(number.0);
    }

    fn patched(&self, change: &ChangeName) -> Result<bool, WorkflowProblem> {
        self.0.patched.lock().unwrap().push(change.to_string());
        Ok(true)
    }

    fn is_long(&self) -> bool {
        self.0.is_long.load(Ordering::SeqCst)
    }
}

/// A run of `code` on a host of its own.
pub(crate) struct Rig {
    pub(crate) host: Arc<Host>,
    pub(crate) run: WorkflowRun,
}

impl Rig {
    pub(crate) fn new(code: impl Fn(WorkflowContext) -> Code + Send + Sync + 'static) -> Self {
        Self::on(Arc::default(), code)
    }

    pub(crate) fn on(host: Arc<Host>, code: impl Fn(WorkflowContext) -> Code + Send + Sync + 'static) -> Self {
        let registry = Self::registry(code);
        let run = WorkflowRun::new(&registry, info(), Arc::new(Port(Arc::clone(&host)))).unwrap();
        Self { host, run }
    }

    pub(crate) fn registry(code: impl Fn(WorkflowContext) -> Code + Send + Sync + 'static) -> WorkflowRegistry {
        WorkflowRegistry::new(codec()).with_workflow(Coded(code)).unwrap()
    }

    pub(crate) fn port(&self) -> Arc<dyn WorkflowHost> {
        Arc::new(Port(Arc::clone(&self.host)))
    }

    pub(crate) fn poll(&mut self) -> RunProgress {
        self.run.poll(&mut Context::from_waker(Waker::noop()))
    }

    /// Polls once more after a step has answered.
    pub(crate) fn answered(&mut self, step: u64, answer: Result<Value, StepError>) -> RunProgress {
        self.host.answer(step, answer);
        self.poll()
    }
}

pub(crate) fn codec() -> Codec {
    Codec::new(Arc::new(TestSealer::new("k1")), Limits::default())
}

pub(crate) fn info() -> RunInfo {
    let id = MessageId::from(Uuid::from_u128(1));
    let tenant = Tenant::project(7_i64, 8_i64);
    RunInfo {
        workflow_id: WorkflowId::new(tenant.clone(), Sample::NAME, WorkflowKey::constant("9")),
        run_id: RunId::constant("run-1"),
        started_at: Timestamp::UNIX_EPOCH,
        seed: Uuid::from_u128(2),
        input: WorkflowEnvelope {
            id,
            workflow: Sample::NAME,
            version: 1,
            tenant,
            cause: Cause::root(),
            payload: Json::parse(r#"{"organization_id":"7","project_id":"8"}"#, &Limits::default()).unwrap(),
        },
    }
}
