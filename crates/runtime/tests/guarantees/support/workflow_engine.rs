//! A workflow engine that fails as a test says and remembers what it was asked.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use aftercommit_domain::contract::RunId;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::workflows::{
    SignalRequest, StartRequest, StopRequest, WorkflowId, WorkflowRequestError, WorkflowStartError, WorkflowStarter,
};
use async_trait::async_trait;

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It is away.
    Away,
    /// It does what it is asked, but its answer is lost.
    Lost,
    /// It never answers.
    Hangs,
    /// It does not know the workflow.
    Unknown,
    /// It is there, and answers with an error of its own.
    Fails,
}

#[derive(Clone, Default)]
pub(crate) struct WorkflowEngine {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    script: VecDeque<Trouble>,
    is_away: bool,
    calls: usize,
    requests: HashMap<MessageId, RunId>,
    running: HashMap<WorkflowId, RunId>,
    closed: HashMap<WorkflowId, RunId>,
    did: Vec<String>,
}

impl WorkflowEngine {
    /// The next calls go wrong so.
    pub(crate) fn script(&self, troubles: impl IntoIterator<Item = Trouble>) {
        self.state.lock().unwrap().script.extend(troubles);
    }

    /// It is away from now on, or back.
    pub(crate) fn set_away(&self, is_away: bool) {
        self.state.lock().unwrap().is_away = is_away;
    }

    /// What it did, in order.
    pub(crate) fn did(&self) -> Vec<String> {
        self.state.lock().unwrap().did.clone()
    }

    pub(crate) fn calls(&self) -> usize {
        self.state.lock().unwrap().calls
    }

    /// Everything has closed, and is remembered.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock().unwrap();
        state.closed = std::mem::take(&mut state.running);
    }

    /// Everything has closed and is forgotten.
    pub(crate) fn forget(&self) {
        let mut state = self.state.lock().unwrap();
        state.requests.clear();
        state.running.clear();
    }

    async fn trouble(&self) -> Option<Trouble> {
        let trouble = {
            let mut state = self.state.lock().unwrap();
            state.calls += 1;
            if state.is_away {
                return Some(Trouble::Away);
            }
            state.script.pop_front()
        };
        if trouble == Some(Trouble::Hangs) {
            std::future::pending::<()>().await;
        }
        trouble
    }

    fn unavailable() -> WorkflowStartError {
        WorkflowStartError::Unavailable {
            operation: "start",
            reason: "connection refused".into(),
        }
    }

    fn do_start(&self, request: &StartRequest, told: Option<&SignalRequest>) -> Result<RunId, WorkflowStartError> {
        let mut state = self.state.lock().unwrap();
        if let Some(run) = state.requests.get(&request.request_id()) {
            return Ok(run.clone());
        }
        let run = match (state.running.get(&request.id).cloned(), told) {
            (Some(run_id), None) => {
                let id = request.id.clone();
                return Err(WorkflowStartError::AlreadyStarted { id, run_id });
            }
            (Some(run_id), Some(_)) => run_id,
            (None, _) => {
                state.did.push(format!("started {}", request.id));
                RunId::new(format!("run-{}", state.did.len())).unwrap()
            }
        };
        if let Some(signal) = told {
            state.did.push(format!("told {} {}", signal.id, signal.name));
        }
        state.running.insert(request.id.clone(), run.clone());
        state.requests.insert(request.request_id(), run.clone());
        Ok(run)
    }
}

#[async_trait]
impl WorkflowStarter for WorkflowEngine {
    async fn start(&self, request: StartRequest) -> Result<RunId, WorkflowStartError> {
        match self.trouble().await {
            Some(Trouble::Away | Trouble::Hangs) => Err(Self::unavailable()),
            Some(Trouble::Unknown) => Err(WorkflowStartError::Unknown {
                name: request.id.name().to_string(),
            }),
            Some(Trouble::Fails) => Err(WorkflowStartError::EngineFailed {
                operation: "start",
                reason: "Internal: shard 7 is lost".into(),
            }),
            Some(Trouble::Lost) => self.do_start(&request, None).and(Err(Self::unavailable())),
            None => self.do_start(&request, None),
        }
    }

    async fn signal(&self, request: SignalRequest) -> Result<(), WorkflowRequestError> {
        match self.trouble().await {
            None => {}
            Some(Trouble::Away) => {
                return Err(WorkflowRequestError::Unavailable {
                    operation: "signal",
                    reason: "connection refused".into(),
                });
            }
            Some(trouble) => panic!("no test needs a signal to go wrong so: {trouble:?}"),
        }
        let mut state = self.state.lock().unwrap();
        if !state.running.contains_key(&request.id) {
            return Err(match state.closed.get(&request.id).cloned() {
                Some(run_id) => WorkflowRequestError::Over { id: request.id, run_id },
                None => WorkflowRequestError::NotRunning { id: request.id },
            });
        }
        state.did.push(format!("told {} {}", request.id, request.name));
        Ok(())
    }

    async fn signal_with_start(&self, start: StartRequest, signal: SignalRequest) -> Result<RunId, WorkflowStartError> {
        let trouble = self.trouble().await;
        assert_eq!(trouble, None, "no test needs it to go wrong");
        self.do_start(&start, Some(&signal))
    }

    async fn cancel(&self, _: StopRequest) -> Result<(), WorkflowRequestError> {
        unreachable!("no transaction asks for it")
    }

    async fn terminate(&self, _: StopRequest) -> Result<(), WorkflowRequestError> {
        unreachable!("no transaction asks for it")
    }
}
