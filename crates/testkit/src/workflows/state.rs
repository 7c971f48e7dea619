//! What the engine holds: what is recorded, and what a crash loses.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use aftercommit_domain::contract::{ChangeName, RunId, SignalName};
use aftercommit_domain::failure::Failure;
use aftercommit_domain::ids::{Ids, MessageId};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::workflows::{
    RunInfo, StepError, StepNumber, WaitingStep, WorkflowEnd, WorkflowId, WorkflowRegistry, WorkflowRun,
};
use serde_json::Value;

use super::attempts::Attempt;
use super::faults::{Fate, WorkflowFaults};
use super::host::Host;
use super::steps::StepRecord;

pub(super) struct State {
    pub(super) ids: Arc<dyn Ids>,
    pub(super) registry: WorkflowRegistry,
    /// Every run there was, in the order they began. A run is known by its place.
    pub(super) runs: Vec<Run>,
    pub(super) newest: HashMap<WorkflowId, usize>,
    /// The requests that were carried out, and the run each went to.
    pub(super) requests: HashMap<MessageId, RunId>,
    /// The attempts of activities that are on their way. A crash loses them.
    pub(super) attempts: Vec<Attempt>,
    pub(super) attempts_begun: u64,
    pub(super) faults: WorkflowFaults,
    pub(super) recorded: u64,
    pub(super) is_away: bool,
}

/// One run of a workflow.
pub(super) struct Run {
    pub(super) info: RunInfo,
    /// Its number since the workflow was started, from 1.
    pub(super) number: u32,
    /// Nothing here runs it.
    pub(super) is_external: bool,
    pub(super) parent: Option<Parent>,
    /// What it is handed, in order.
    pub(super) history: Vec<Event>,
    /// Up to which place of its history its code has been run. `None` before the first time.
    pub(super) polled: Option<usize>,
    pub(super) steps: BTreeMap<StepNumber, StepRecord>,
    pub(super) changes: BTreeSet<ChangeName>,
    pub(super) is_cancel_asked: bool,
    pub(super) end: Option<RunEnd>,
    pub(super) closed_at: Option<Timestamp>,
    pub(super) published: BTreeMap<String, Value>,
    pub(super) waiting: Vec<WaitingStep>,
    pub(super) problem: Option<Failure>,
    /// Its code, as far as this process has run it. A crash loses it.
    pub(super) live: Option<Live>,
}

/// The step that waits for a child.
#[derive(Clone, Copy)]
pub(super) struct Parent {
    pub(super) run: usize,
    pub(super) step: StepNumber,
}

/// How a run closed.
#[derive(Clone)]
pub(super) enum RunEnd {
    As(WorkflowEnd),
    ContinuedAsNew,
}

/// What a run is handed.
#[derive(Clone)]
pub(super) struct Event {
    pub(super) at: Timestamp,
    pub(super) what: What,
}

#[derive(Clone)]
pub(super) enum What {
    Answer(StepNumber, Result<Value, StepError>),
    Signal(SignalName, Value),
    Cancel,
}

/// The code of a run in this process.
pub(super) struct Live {
    pub(super) code: WorkflowRun,
    pub(super) host: Arc<Host>,
    /// How much of its history it was handed; `None` before its first poll.
    pub(super) handed: Option<usize>,
}

impl State {
    pub(super) fn new(registry: WorkflowRegistry, ids: Arc<dyn Ids>) -> Self {
        Self {
            ids,
            registry,
            runs: Vec::new(),
            newest: HashMap::new(),
            requests: HashMap::new(),
            attempts: Vec::new(),
            attempts_begun: 0,
            faults: WorkflowFaults::default(),
            recorded: 0,
            is_away: false,
        }
    }

    pub(super) fn newest(&self, id: &WorkflowId) -> Option<&Run> {
        self.newest.get(id).and_then(|place| self.runs.get(*place))
    }

    /// The open run of a workflow.
    pub(super) fn open(&self, id: &WorkflowId) -> Option<usize> {
        let place = *self.newest.get(id)?;
        self.runs[place].end.is_none().then_some(place)
    }

    /// Loses what is only in memory.
    pub(super) fn crash(&mut self) {
        self.attempts.clear();
        for run in &mut self.runs {
            run.live = None;
            run.problem = None;
        }
    }

    /// Records something with `record`, unless a fault loses it.
    pub(super) fn record(&mut self, now: Timestamp, record: impl FnOnce(&mut Self)) {
        self.recorded += 1;
        match self.faults.at(self.recorded) {
            Fate::Kept => record(self),
            Fate::Lost => self.crash(),
            Fate::KeptAndCrash => {
                record(self);
                self.crash();
            }
            Fate::KeptAndCancel => {
                record(self);
                for place in 0..self.runs.len() {
                    if self.runs[place].parent.is_none() {
                        self.ask_to_cancel(place, now);
                    }
                }
            }
        }
    }

    /// Hands a run something, if it is open.
    pub(super) fn hand(&mut self, place: usize, at: Timestamp, what: What) {
        let run = &mut self.runs[place];
        if run.end.is_none() {
            run.history.push(Event { at, what });
        }
    }

    pub(super) fn ask_to_cancel(&mut self, place: usize, now: Timestamp) {
        let run = &mut self.runs[place];
        if run.end.is_none() && !run.is_cancel_asked {
            run.is_cancel_asked = true;
            self.hand(place, now, What::Cancel);
        }
    }
}
