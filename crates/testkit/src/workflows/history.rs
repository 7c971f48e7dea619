//! What is recorded of a run, to be kept as a file and replayed against later builds.

use std::collections::BTreeMap;
use std::task::{Context, Waker};

use aftercommit_domain::contract::{ChangeName, Json, Limits, RunId, SignalName, WorkflowEnvelope};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::workflows::{
    RunInfo, RunProgress, StepError, StepNumber, WorkflowFailure, WorkflowId, WorkflowProblem, WorkflowRegistry,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::InMemoryWorkflows;
use super::requests::NewRun;
use super::running::{begin, hand};
use super::state::{Event, Run, What};
use super::steps::{StepRecord, Work};

/// What is recorded of one run. Kept as JSON beside the code of a released workflow, it says for ever whether later builds
/// still take the way that runs of that release took: [`replay`](Self::replay).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkflowHistory {
    workflow: WorkflowId,
    run: RunId,
    began: Timestamp,
    seed: Uuid,
    input: Json,
    steps: Vec<RecordedStep>,
    changes: Vec<ChangeName>,
    events: Vec<RecordedEvent>,
    polled: Option<usize>,
    ended: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct RecordedStep {
    number: StepNumber,
    label: String,
    began_at: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct RecordedEvent {
    at: Timestamp,
    #[serde(flatten)]
    what: Recorded,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
enum Recorded {
    Answered { step: StepNumber, value: Value },
    Failed { step: StepNumber, failure: WorkflowFailure },
    Interrupted { step: StepNumber },
    Signalled { name: SignalName, payload: Value },
    Cancelled,
}

impl InMemoryWorkflows {
    /// What is recorded of a workflow's newest run so far.
    pub fn history(&self, id: &WorkflowId) -> Option<WorkflowHistory> {
        self.lock()
            .newest(id)
            .map(|run| WorkflowHistory::of(run, &self.shared.limits))
    }
}

impl WorkflowHistory {
    fn of(run: &Run, limits: &Limits) -> Self {
        let step = |(number, record): (&StepNumber, &StepRecord)| RecordedStep {
            number: *number,
            label: record.label.clone(),
            began_at: record.began_at,
        };
        Self {
            workflow: run.info.workflow_id.clone(),
            run: run.info.run_id.clone(),
            began: run.info.started_at,
            seed: run.info.seed,
            // Within bounds since the run began.
            input: Json::parse(run.info.input.encode(), &limits.of_carried_workflow())
                .unwrap_or_else(|_| Json::empty()),
            steps: run.steps.iter().map(step).collect(),
            changes: run.changes.iter().cloned().collect(),
            events: run.history.iter().map(RecordedEvent::of).collect(),
            polled: run.polled,
            ended: run.end.is_some(),
        }
    }

    /// Runs the code of `registry` against what is recorded: nothing has any effect.
    ///
    /// # Errors
    /// The code does not take the recorded way: a run of that release would be stuck in this build.
    pub fn replay(&self, registry: &WorkflowRegistry) -> Result<(), WorkflowProblem> {
        let Some(last) = self.polled else { return Ok(()) };
        let run = self.run(registry.codec().limits())?;
        let mut live = begin(&run, registry)?;
        for position in 0..=last {
            if let Some(event) = position.checked_sub(1).and_then(|at| run.history.get(at)) {
                hand(&live, event.clone());
            }
            live.host.begin_poll(true);
            let progress = live.code.poll(&mut Context::from_waker(Waker::noop()));
            if let RunProgress::Stuck(problem) = progress {
                return Err(problem);
            }
            let is_over = matches!(progress, RunProgress::Ended(_));
            if is_over != (self.ended && position == last) {
                let how = |is_over| if is_over { "the end" } else { "another wait" };
                return Err(WorkflowProblem::Nondeterministic {
                    step: self.steps.len() as u64,
                    recorded: how(!is_over).into(),
                    asked: how(is_over).into(),
                });
            }
            if let Some(problem) = run.left_out(position, &live.host) {
                return Err(problem);
            }
        }
        Ok(())
    }

    fn run(&self, limits: &Limits) -> Result<Run, WorkflowProblem> {
        let input = WorkflowEnvelope::decode(self.input.as_str().as_bytes(), limits);
        let input = input.map_err(|error| WorkflowProblem::Unreadable {
            name: self.workflow.name().to_string(),
            reason: error.to_string(),
        })?;
        let info = RunInfo {
            workflow_id: self.workflow.clone(),
            run_id: self.run.clone(),
            started_at: self.began,
            seed: self.seed,
            input: input.clone(),
        };
        let steps = self.steps.iter().map(|step| {
            let record = StepRecord {
                label: step.label.clone(),
                began_at: step.began_at,
                work: Work::Over,
            };
            (step.number, record)
        });
        let new = NewRun {
            history: self.events.iter().map(RecordedEvent::event).collect(),
            ..NewRun::of(self.workflow.clone(), input, self.began)
        };
        Ok(Run {
            polled: self.polled,
            steps: steps.collect::<BTreeMap<_, _>>(),
            changes: self.changes.iter().cloned().collect(),
            ..new.into_run(info)
        })
    }
}

impl RecordedEvent {
    fn of(event: &Event) -> Self {
        let what = match event.what.clone() {
            What::Answer(step, Ok(value)) => Recorded::Answered { step, value },
            What::Answer(step, Err(StepError::Failed(failure))) => Recorded::Failed { step, failure },
            What::Answer(step, Err(StepError::Cancelled)) => Recorded::Interrupted { step },
            What::Signal(name, payload) => Recorded::Signalled { name, payload },
            What::Cancel => Recorded::Cancelled,
        };
        Self { at: event.at, what }
    }

    fn event(&self) -> Event {
        let what = match self.what.clone() {
            Recorded::Answered { step, value } => What::Answer(step, Ok(value)),
            Recorded::Failed { step, failure } => What::Answer(step, Err(StepError::Failed(failure))),
            Recorded::Interrupted { step } => What::Answer(step, Err(StepError::Cancelled)),
            Recorded::Signalled { name, payload } => What::Signal(name, payload),
            Recorded::Cancelled => What::Cancel,
        };
        Event { at: self.at, what }
    }
}
