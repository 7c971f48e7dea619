//! Attempts of activities.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use aftercommit_domain::tasks::CancellationSignal;
use aftercommit_domain::time::{Clock as _, after};
use aftercommit_domain::workflows::{
    ActivityContext, ActivityContextParts, ActivityError, ActivityHost, AttemptFuture, FailedAttempt, StepNumber,
    WorkflowFailure,
};
use async_trait::async_trait;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::state::State;
use super::steps::{ActivityWork, Phase, Work, due};
use super::{InMemoryWorkflows, Shared};

/// An attempt of an activity that is on its way.
pub(super) struct Attempt {
    number: u64,
    pub(super) run: usize,
    pub(super) step: StepNumber,
    pub(super) cancellation: CancellationToken,
    /// Taken out while it is polled.
    future: Option<AttemptFuture>,
    woken: Arc<Woken>,
}

/// Whether a future is worth another poll.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl InMemoryWorkflows {
    pub(super) fn begin_attempt(&self, place: usize, step: StepNumber) {
        let (now, mut state) = (self.now(), self.lock());
        state.attempts_begun += 1;
        let number = state.attempts_begun;
        let fails = state.faults.fail_attempt == Some(number);
        let run = &mut state.runs[place];
        let (info, cancellation) = (run.info.clone(), CancellationToken::new());
        let Some(work) = run.activity(step) else { return };
        work.attempts += 1;
        work.phase = Phase::Runs { since: now, heard: now };
        let parts = ActivityContextParts {
            workflow_id: info.workflow_id,
            run_id: info.run_id,
            activity_id: step,
            attempt: work.attempts,
            deadline: after(now, work.options.start_to_close),
            cause: info.input.cause_of_next(),
            cursor: work.cursor.clone(),
            host: Arc::new(Host {
                attempt: number,
                cancellation: cancellation.clone(),
                engine: Arc::downgrade(&self.shared),
            }),
            clock: Arc::new(self.shared.clock.clone()),
            limits: self.shared.limits,
        };
        let (name, input) = (work.name.clone(), work.input.clone());
        let Some(activity) = state.registry.activity(&name).filter(|_| !fails).cloned() else {
            drop(state);
            let failure = if fails {
                WorkflowFailure::retryable("test.failed_attempt", "the test said so")
            } else {
                WorkflowFailure::retryable(
                    WorkflowFailure::UNKNOWN_ACTIVITY,
                    format!("no activity of the name {name} is registered here"),
                )
            };
            return self.attempt_failed(place, step, failure, None);
        };
        state.attempts.push(Attempt {
            number,
            run: place,
            step,
            cancellation,
            future: Some(activity.run(input, ActivityContext::new(parts))),
            woken: Arc::new(Woken(AtomicBool::new(true))),
        });
    }

    /// Polls every attempt that was woken. Answers whether there was any.
    pub(super) fn poll_attempts(&self) -> bool {
        let mut any = false;
        loop {
            // Polled without the lock: an activity may ask the engine for something.
            let taken = self.lock().take_woken();
            let Some((number, mut future, woken)) = taken else {
                return any;
            };
            any = true;
            let waker = Waker::from(woken);
            let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
            let mut state = self.lock();
            // It may be gone: out of time, or lost with its process.
            let Some(at) = state.attempts.iter().position(|attempt| attempt.number == number) else {
                continue;
            };
            match polled {
                Poll::Pending => state.attempts[at].future = Some(future),
                Poll::Ready(end) => {
                    let Attempt { run, step, .. } = state.attempts.remove(at);
                    drop(state);
                    self.attempt_ended(run, step, end);
                }
            }
        }
    }

    fn attempt_ended(&self, place: usize, step: StepNumber, end: Result<Value, ActivityError>) {
        let now = self.now();
        match end {
            Ok(value) => {
                let mut state = self.lock();
                if state.runs_twice(place, step) {
                    return;
                }
                if state.runs[place].activity(step).is_some() {
                    state.record(now, |state| state.answer(place, step, Ok(value), now));
                }
            }
            Err(ActivityError::Failed { failure, retry_after }) => {
                self.attempt_failed(place, step, failure, retry_after);
            }
            Err(ActivityError::Cancelled) => {
                let failure = WorkflowFailure::permanent(
                    WorkflowFailure::ACTIVITY_CANCELLED,
                    "the attempt ended as cancelled, although nobody cancelled it",
                );
                self.attempt_failed(place, step, failure, None);
            }
        }
    }

    /// Tries the activity again, or tells the workflow that it failed.
    pub(super) fn attempt_failed(
        &self,
        place: usize,
        step: StepNumber,
        failure: WorkflowFailure,
        retry_after: Option<Duration>,
    ) {
        let (now, jitter) = (self.now(), self.shared.randomness.unit());
        let mut state = self.lock();
        let Some(work) = state.runs[place].activity(step) else {
            return;
        };
        let failed = FailedAttempt {
            failure: &failure,
            retry_after,
            attempt: work.attempts,
            scheduled_at: work.scheduled_at,
            now,
        };
        match work.options.next_attempt(&failed, jitter) {
            Some(wait) => work.phase = Phase::Waits { until: due(now, wait) },
            None => state.record(now, |state| state.answer(place, step, Err(failure.into()), now)),
        }
    }
}

impl State {
    fn take_woken(&mut self) -> Option<(u64, AttemptFuture, Arc<Woken>)> {
        self.attempts.iter_mut().find_map(|attempt| {
            let is_woken = attempt.future.is_some() && attempt.woken.0.swap(false, Ordering::SeqCst);
            let future = is_woken.then(|| attempt.future.take()).flatten()?;
            Some((attempt.number, future, Arc::clone(&attempt.woken)))
        })
    }

    /// An attempt is given up: told to end, and never asked again.
    pub(super) fn drop_attempts(&mut self, place: usize, step: StepNumber) {
        self.attempts.retain(|attempt| {
            let is_it = attempt.run == place && attempt.step == step;
            if is_it {
                attempt.cancellation.cancel();
            }
            !is_it
        });
    }

    /// Whether an attempt that succeeded is to run again, for the first time.
    fn runs_twice(&mut self, place: usize, step: StepNumber) -> bool {
        let is_asked = self.faults.run_attempts_twice;
        let Some(work) = self.runs[place].activity(step) else {
            return false;
        };
        if !is_asked || work.was_lost {
            return false;
        }
        work.was_lost = true;
        work.attempts = work.attempts.saturating_sub(1);
        work.phase = Phase::Waits {
            until: work.scheduled_at,
        };
        true
    }
}

impl super::state::Run {
    /// The activity of a step that is not over.
    fn activity(&mut self, step: StepNumber) -> Option<&mut ActivityWork> {
        if self.end.is_some() {
            return None;
        }
        match &mut self.steps.get_mut(&step)?.work {
            Work::Activity(work) => Some(work),
            Work::Timer { .. } | Work::Signal | Work::Child | Work::Over => None,
        }
    }
}

/// What an attempt asks of the engine.
struct Host {
    attempt: u64,
    cancellation: CancellationToken,
    engine: Weak<Shared>,
}

#[async_trait]
impl CancellationSignal for Host {
    fn is_cancelled(&self) -> bool {
        self.cancellation.is_cancelled()
    }

    async fn cancelled(&self) {
        self.cancellation.cancelled().await;
    }
}

#[async_trait]
impl ActivityHost for Host {
    async fn heartbeat(&self, cursor: Value) {
        let Some(engine) = self.engine.upgrade() else { return };
        let (now, mut state) = (engine.clock.now(), engine.lock());
        let Some(attempt) = state.attempts.iter().find(|attempt| attempt.number == self.attempt) else {
            return;
        };
        let (place, step) = (attempt.run, attempt.step);
        if let Some(work) = state.runs[place].activity(step)
            && let Phase::Runs { heard, .. } = &mut work.phase
        {
            *heard = now;
            work.cursor = Some(cursor);
        }
    }
}
