//! What is asked of the engine from outside.

use std::collections::{BTreeMap, BTreeSet};

use aftercommit_domain::contract::{RunId, WorkflowEnvelope};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::workflows::{
    IdReuse, RunInfo, SignalRequest, StartRequest, StopRequest, WorkflowEnd, WorkflowId, WorkflowRequestError,
    WorkflowStartError, WorkflowStarter,
};
use async_trait::async_trait;

use super::InMemoryWorkflows;
use super::state::{Event, Parent, Run, RunEnd, State, What};

/// A run that is to begin.
pub(super) struct NewRun {
    pub(super) id: WorkflowId,
    pub(super) input: WorkflowEnvelope,
    pub(super) now: Timestamp,
    pub(super) number: u32,
    pub(super) parent: Option<Parent>,
    pub(super) is_external: bool,
    /// What it is handed first.
    pub(super) history: Vec<Event>,
}

impl NewRun {
    pub(super) const fn of(id: WorkflowId, input: WorkflowEnvelope, now: Timestamp) -> Self {
        Self {
            id,
            input,
            now,
            number: 1,
            parent: None,
            is_external: false,
            history: Vec::new(),
        }
    }

    pub(super) fn into_run(self, info: RunInfo) -> Run {
        Run {
            info,
            number: self.number,
            is_external: self.is_external,
            parent: self.parent,
            is_cancel_asked: self.history.iter().any(|event| matches!(event.what, What::Cancel)),
            history: self.history,
            polled: None,
            steps: BTreeMap::new(),
            changes: BTreeSet::new(),
            end: None,
            closed_at: None,
            published: BTreeMap::new(),
            waiting: Vec::new(),
            problem: None,
            live: None,
        }
    }
}

impl State {
    /// The run that has this id, if no other may begin under it.
    pub(super) fn taken(&self, id: &WorkflowId, reuse: IdReuse) -> Option<RunId> {
        let newest = self.newest(id)?;
        let is_free = newest.end.is_some() && reuse == IdReuse::AfterClose;
        (!is_free).then(|| newest.info.run_id.clone())
    }

    /// Begins a run under an id that is free.
    pub(super) fn begin_run(&mut self, new: NewRun) -> RunId {
        let run_id = RunId::from(self.ids.next());
        self.newest.insert(new.id.clone(), self.runs.len());
        let info = RunInfo {
            workflow_id: new.id.clone(),
            run_id: run_id.clone(),
            started_at: new.now,
            seed: self.ids.next(),
            input: new.input.clone(),
        };
        self.runs.push(new.into_run(info));
        run_id
    }

    fn start(&mut self, request: StartRequest, now: Timestamp) -> Result<RunId, WorkflowStartError> {
        self.check_start(&request)?;
        if let Some(run_id) = self.requests.get(&request.request_id()) {
            return Ok(run_id.clone());
        }
        if let Some(run_id) = self.taken(&request.id, request.reuse) {
            return Err(WorkflowStartError::AlreadyStarted { id: request.id, run_id });
        }
        let (request_id, is_external) = (request.request_id(), request.external.is_some());
        let run_id = self.begin_run(NewRun {
            is_external,
            ..NewRun::of(request.id, request.input, now)
        });
        self.requests.insert(request_id, run_id.clone());
        Ok(run_id)
    }

    fn check_start(&self, request: &StartRequest) -> Result<(), WorkflowStartError> {
        if self.is_away {
            return Err(WorkflowStartError::Unavailable {
                operation: "start",
                reason: AWAY.into(),
            });
        }
        if request.external.is_none() && self.registry.workflow(request.id.name()).is_none() {
            return Err(WorkflowStartError::Unknown {
                name: request.id.name().to_string(),
            });
        }
        Ok(())
    }

    fn signal(&mut self, request: SignalRequest, now: Timestamp) -> Result<(), WorkflowRequestError> {
        self.check_answers("signal")?;
        if self.requests.contains_key(&request.request_id) {
            return Ok(());
        }
        let Some(place) = self.open(&request.id) else {
            return Err(self.is_closed(&request.id));
        };
        self.requests
            .insert(request.request_id, self.runs[place].info.run_id.clone());
        self.hand(place, now, What::Signal(request.name, request.payload));
        Ok(())
    }

    fn signal_with_start(
        &mut self,
        start: StartRequest,
        signal: SignalRequest,
        now: Timestamp,
    ) -> Result<RunId, WorkflowStartError> {
        self.check_start(&start)?;
        if start.id != signal.id || start.request_id() != signal.request_id {
            return Err(WorkflowStartError::Refused {
                id: start.id,
                reason: "the start and the signal are not one request to one workflow".into(),
            });
        }
        if let Some(run_id) = self.requests.get(&signal.request_id) {
            return Ok(run_id.clone());
        }
        let (place, run_id) = match self.open(&start.id) {
            Some(place) => (place, self.runs[place].info.run_id.clone()),
            // It begins at the end of the list.
            None => (self.runs.len(), self.start(start, now)?),
        };
        self.requests.insert(signal.request_id, run_id.clone());
        self.hand(place, now, What::Signal(signal.name, signal.payload));
        Ok(run_id)
    }

    /// The run that is to be stopped; `None` when this very request has stopped it before.
    fn run_to_stop(
        &mut self,
        request: &StopRequest,
        operation: &'static str,
    ) -> Result<Option<usize>, WorkflowRequestError> {
        self.check_answers(operation)?;
        if self.requests.contains_key(&request.request_id) {
            return Ok(None);
        }
        let Some(place) = self.open(&request.id) else {
            return Err(self.is_closed(&request.id));
        };
        self.requests
            .insert(request.request_id, self.runs[place].info.run_id.clone());
        Ok(Some(place))
    }

    /// Why a workflow that is not open is told nothing.
    fn is_closed(&self, id: &WorkflowId) -> WorkflowRequestError {
        let id = id.clone();
        match self.newest(&id) {
            Some(newest) => WorkflowRequestError::Over {
                run_id: newest.info.run_id.clone(),
                id,
            },
            None => WorkflowRequestError::NotRunning { id },
        }
    }

    fn check_answers(&self, operation: &'static str) -> Result<(), WorkflowRequestError> {
        if self.is_away {
            let reason = AWAY.into();
            return Err(WorkflowRequestError::Unavailable { operation, reason });
        }
        Ok(())
    }
}

pub(super) const AWAY: &str = "the test said so";

#[async_trait]
impl WorkflowStarter for InMemoryWorkflows {
    async fn start(&self, request: StartRequest) -> Result<RunId, WorkflowStartError> {
        let now = self.now();
        self.lock().start(request, now)
    }

    async fn signal(&self, request: SignalRequest) -> Result<(), WorkflowRequestError> {
        let now = self.now();
        self.lock().signal(request, now)
    }

    async fn signal_with_start(&self, start: StartRequest, signal: SignalRequest) -> Result<RunId, WorkflowStartError> {
        let now = self.now();
        self.lock().signal_with_start(start, signal, now)
    }

    async fn cancel(&self, request: StopRequest) -> Result<(), WorkflowRequestError> {
        let (now, mut state) = (self.now(), self.lock());
        if let Some(place) = state.run_to_stop(&request, "cancel")? {
            state.ask_to_cancel(place, now);
        }
        Ok(())
    }

    async fn terminate(&self, request: StopRequest) -> Result<(), WorkflowRequestError> {
        let (now, mut state) = (self.now(), self.lock());
        if let Some(place) = state.run_to_stop(&request, "terminate")? {
            let reason = request.reason.as_str().to_owned();
            state.close(place, RunEnd::As(WorkflowEnd::Terminated { reason }), now);
        }
        Ok(())
    }
}
