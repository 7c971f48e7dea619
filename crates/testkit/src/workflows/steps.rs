//! What a step that has begun does meanwhile.

use std::time::Duration;

use aftercommit_domain::contract::{ActivityName, WorkflowEnvelope};
use aftercommit_domain::time::{Timestamp, after, to_micros};
use aftercommit_domain::workflows::{
    ActivityOptions, IdReuse, StepCommand, StepError, StepNumber, WorkflowEnd, WorkflowFailure, WorkflowId,
};
use serde_json::Value;

use super::requests::NewRun;
use super::state::{Parent, RunEnd, State, What};

/// A step that has begun.
pub(super) struct StepRecord {
    pub(super) label: String,
    /// At which place of the history the code began it.
    pub(super) began_at: usize,
    pub(super) work: Work,
}

pub(super) enum Work {
    Timer {
        due: Timestamp,
    },
    /// Is in the code's own hands.
    Signal,
    Activity(Box<ActivityWork>),
    Child,
    /// It has answered, or was given up.
    Over,
}

pub(super) struct ActivityWork {
    pub(super) name: ActivityName,
    pub(super) input: Value,
    pub(super) options: ActivityOptions,
    pub(super) scheduled_at: Timestamp,
    /// Attempts that have begun.
    pub(super) attempts: u32,
    pub(super) cursor: Option<Value>,
    pub(super) phase: Phase,
    /// It succeeded once for nothing.
    pub(super) was_lost: bool,
}

#[derive(Clone, Copy)]
pub(super) enum Phase {
    Waits { until: Timestamp },
    Runs { since: Timestamp, heard: Timestamp },
}

/// `wait` from `now`, in the units the clock shows: never too early.
pub(super) fn due(now: Timestamp, wait: Duration) -> Timestamp {
    let exact = after(now, wait);
    let shown = to_micros(exact);
    if shown < exact {
        after(shown, Duration::from_micros(1))
    } else {
        shown
    }
}

impl ActivityWork {
    /// When this attempt, or the activity as a whole, is out of time; and as which failure.
    pub(super) fn times_out(&self) -> (Timestamp, WorkflowFailure) {
        let expires = self.options.schedule_to_close.map(|longest| {
            let why = format!("it was not done within {longest:?}");
            (
                due(self.scheduled_at, longest),
                WorkflowFailure::permanent(WorkflowFailure::EXPIRED, why),
            )
        });
        let attempt = match self.phase {
            Phase::Waits { .. } => None,
            Phase::Runs { since, heard } => {
                let longest = self.options.start_to_close;
                let why = format!("the attempt was not done within {longest:?}");
                let timed_out = (
                    due(since, longest),
                    WorkflowFailure::retryable(WorkflowFailure::TIMED_OUT, why),
                );
                let silent = self.options.heartbeat.map(|longest| {
                    let why = format!("the attempt gave no sign of life for {longest:?}");
                    (
                        due(heard, longest),
                        WorkflowFailure::retryable(WorkflowFailure::NO_HEARTBEAT, why),
                    )
                });
                silent.into_iter().chain([timed_out]).min_by_key(|(due, _)| *due)
            }
        };
        let never = || (Timestamp::MAX_UTC, WorkflowFailure::permanent("never", ""));
        expires
            .into_iter()
            .chain(attempt)
            .min_by_key(|(due, _)| *due)
            .unwrap_or_else(never)
    }
}

impl State {
    /// A step begins.
    pub(super) fn begin_step(
        &mut self,
        place: usize,
        step: StepNumber,
        command: StepCommand,
        at: usize,
        now: Timestamp,
    ) {
        let label = command.label();
        let (work, child) = match command {
            StepCommand::Sleep { duration } => (
                Work::Timer {
                    due: due(now, duration),
                },
                None,
            ),
            StepCommand::WaitSignal { .. } => (Work::Signal, None),
            StepCommand::Activity { name, input, options } => {
                let work = ActivityWork {
                    name,
                    input,
                    options,
                    scheduled_at: now,
                    attempts: 0,
                    cursor: None,
                    phase: Phase::Waits { until: now },
                    was_lost: false,
                };
                (Work::Activity(Box::new(work)), None)
            }
            StepCommand::Child { id, reuse, input } => (Work::Child, Some((id, reuse, input))),
        };
        let record = StepRecord {
            label,
            began_at: at,
            work,
        };
        self.runs[place].steps.insert(step, record);
        if let Some((id, reuse, input)) = child {
            self.begin_child(Parent { run: place, step }, (id, reuse, *input), now);
        }
    }

    fn begin_child(&mut self, parent: Parent, child: (WorkflowId, IdReuse, WorkflowEnvelope), now: Timestamp) {
        let (id, reuse, input) = child;
        if let Some(run_id) = self.taken(&id, reuse) {
            let failure = WorkflowFailure::permanent(
                WorkflowFailure::CHILD_ALREADY_STARTED,
                format!("the workflow {id} was started already, as run {run_id}"),
            );
            self.answer(parent.run, parent.step, Err(failure.into()), now);
            return;
        }
        self.begin_run(NewRun {
            parent: Some(parent),
            ..NewRun::of(id, input, now)
        });
    }

    /// A step has answered.
    pub(super) fn answer(&mut self, place: usize, step: StepNumber, answer: Result<Value, StepError>, now: Timestamp) {
        let Some(record) = self.runs[place].steps.get_mut(&step) else {
            return;
        };
        if matches!(record.work, Work::Over) {
            return;
        }
        record.work = Work::Over;
        self.hand(place, now, What::Answer(step, answer));
    }

    /// Nobody waits for a step any more.
    pub(super) fn give_up_step(&mut self, place: usize, step: StepNumber, now: Timestamp) {
        let Some(record) = self.runs[place].steps.get_mut(&step) else {
            return;
        };
        match std::mem::replace(&mut record.work, Work::Over) {
            Work::Activity(_) => self.cancel_attempts(place, Some(step)),
            Work::Child => self.cancel_children(place, Some(step), now),
            Work::Timer { .. } | Work::Signal | Work::Over => {}
        }
    }

    /// A run closes.
    pub(super) fn close(&mut self, place: usize, end: RunEnd, now: Timestamp) {
        let run = &mut self.runs[place];
        run.end = Some(end.clone());
        run.closed_at = Some(now);
        run.live = None;
        run.waiting.clear();
        run.problem = None;
        let parent = run.parent;
        self.cancel_attempts(place, None);
        self.cancel_children(place, None, now);
        let (Some(parent), RunEnd::As(end)) = (parent, end) else {
            return;
        };
        self.answer(parent.run, parent.step, of_child(end), now);
    }

    /// Tells attempts that they should end.
    fn cancel_attempts(&self, place: usize, step: Option<StepNumber>) {
        for attempt in &self.attempts {
            if attempt.run == place && step.is_none_or(|step| step == attempt.step) {
                attempt.cancellation.cancel();
            }
        }
    }

    fn cancel_children(&mut self, parent: usize, step: Option<StepNumber>, now: Timestamp) {
        for place in 0..self.runs.len() {
            let is_child = self.runs[place]
                .parent
                .is_some_and(|of| of.run == parent && step.is_none_or(|step| step == of.step));
            if is_child {
                self.ask_to_cancel(place, now);
            }
        }
    }
}

/// What a parent hears of how its child ended.
fn of_child(end: WorkflowEnd) -> Result<Value, StepError> {
    match end {
        WorkflowEnd::Completed(value) => Ok(value),
        WorkflowEnd::Failed(failure) => Err(failure.into()),
        WorkflowEnd::Cancelled => {
            Err(WorkflowFailure::permanent(WorkflowFailure::CHILD_CANCELLED, "the child was cancelled").into())
        }
        WorkflowEnd::Terminated { reason } => {
            Err(WorkflowFailure::permanent(WorkflowFailure::CHILD_TERMINATED, reason).into())
        }
        WorkflowEnd::TimedOut => Err(WorkflowFailure::permanent("child.timed_out", "the child's time was over").into()),
    }
}
