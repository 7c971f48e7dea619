//! What time brings.

use aftercommit_domain::time::Timestamp;
use aftercommit_domain::workflows::{StepNumber, WorkflowFailure};
use serde_json::Value;

use super::InMemoryWorkflows;
use super::state::State;
use super::steps::{Phase, Work};

/// Something that is due.
enum Due {
    Timer,
    Attempt,
    Failure(WorkflowFailure),
}

impl InMemoryWorkflows {
    /// Does the first thing that is due. Answers whether there was any.
    pub(super) fn fire_due(&self) -> bool {
        let now = self.now();
        let found = self.lock().first_due(now);
        let Some((place, step, due)) = found else { return false };
        match due {
            Due::Timer => {
                let mut state = self.lock();
                state.record(now, |state| state.answer(place, step, Ok(Value::Null), now));
            }
            Due::Attempt => self.begin_attempt(place, step),
            Due::Failure(failure) => {
                self.lock().drop_attempts(place, step);
                self.attempt_failed(place, step, failure, None);
            }
        }
        true
    }
}

impl State {
    /// When something is due next.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.dues().map(|(due, ..)| due).min()
    }

    fn first_due(&self, now: Timestamp) -> Option<(usize, StepNumber, Due)> {
        let due = self.dues().filter(|(due, ..)| *due <= now);
        // Of things due at one time, the one that was asked for first.
        let (_, place, step, what) = due.min_by_key(|(due, place, step, _)| (*due, *place, *step))?;
        Some((place, step, what))
    }

    fn dues(&self) -> impl Iterator<Item = (Timestamp, usize, StepNumber, Due)> {
        let open = self.runs.iter().enumerate().filter(|(_, run)| run.end.is_none());
        open.flat_map(|(place, run)| {
            run.steps.iter().filter_map(move |(step, record)| {
                let (due, what) = match &record.work {
                    Work::Timer { due } => (*due, Due::Timer),
                    Work::Activity(activity) => {
                        let (out_of_time, failure) = activity.times_out();
                        match activity.phase {
                            Phase::Waits { until } if until < out_of_time => (until, Due::Attempt),
                            Phase::Waits { .. } | Phase::Runs { .. } => (out_of_time, Due::Failure(failure)),
                        }
                    }
                    Work::Signal | Work::Child | Work::Over => return None,
                };
                Some((due, place, *step, what))
            })
        })
    }
}
