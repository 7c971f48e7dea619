//! What the SDK does for one run, behind the port.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use aftercommit_domain::contract::ChangeName;
use aftercommit_domain::time::{Timestamp, to_micros};
use aftercommit_domain::workflows::{StepCommand, StepError, StepFuture, StepNumber, WorkflowHost, WorkflowProblem};
use futures::future::LocalBoxFuture;
use send_wrapper::SendWrapper;
use serde_json::Value;
use temporalio_common::protos::temporal::api::common::v1::Payload;
use temporalio_sdk::{WorkflowCancellationToken, WorkflowContext};

use super::events::{Event, Events, Signal};
use super::hosted::HostedWorkflow;
use super::steps;

/// How many requests a run remembers that brought it signals, over all the runs it continues.
const MOST_TOLD: usize = 500;

/// The host of one run. Everything of it happens on the one thread that runs the SDK's worker; elsewhere it panics.
pub(super) struct RunHost {
    local: SendWrapper<Local>,
}

/// What a run leaves to the one that goes on.
pub(super) struct Unread {
    /// The oldest first.
    pub(super) signals: Vec<Signal>,
    /// The requests that brought signals, the oldest first.
    pub(super) told: Vec<String>,
    /// Whether it was told to end, and has not seen it.
    pub(super) is_cancelled: bool,
}

struct Local {
    ctx: WorkflowContext<HostedWorkflow>,
    /// What activities are handed so that they know why they exist.
    cause: Payload,
    events: Arc<Events>,
    steps: RefCell<BTreeMap<u64, Live>>,
    /// Signals nobody waited for, the oldest in front.
    unread: RefCell<VecDeque<Signal>>,
    /// The requests that brought signals, the oldest in front.
    told: RefCell<VecDeque<String>>,
    cancelled: RefCell<Option<LocalBoxFuture<'static, ()>>>,
}

/// A step that has not been answered, or whose answer was not read.
struct Live {
    kind: LiveKind,
    answer: Answer,
}

enum LiveKind {
    Recorded {
        /// `None` once it answered.
        future: Option<LocalBoxFuture<'static, Answered>>,
        token: WorkflowCancellationToken,
    },
    Signal {
        name: String,
        /// The signal it was given.
        taken: Option<Signal>,
    },
}

type Answered = Result<Value, StepError>;

/// Where an answer lies until the run reads it.
type Answer = Arc<Mutex<Option<Answered>>>;

impl RunHost {
    pub(super) fn new(
        ctx: WorkflowContext<HostedWorkflow>,
        cause: Payload,
        events: Arc<Events>,
        unread: Vec<Signal>,
        told: Vec<String>,
    ) -> Self {
        let token = ctx.cancellation_token();
        let mut cancelled: LocalBoxFuture<'static, ()> = Box::pin(async move { token.cancelled().await });
        let waker = events.waker_of_cancellation();
        if cancelled.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            events.push(Event::Cancelled);
        }
        Self {
            local: SendWrapper::new(Local {
                ctx,
                cause,
                events,
                steps: RefCell::default(),
                unread: RefCell::new(unread.into()),
                told: RefCell::new(told.into()),
                cancelled: RefCell::new(Some(cancelled)),
            }),
        }
    }

    /// Puts what was recorded where the run finds it. Whether the run has anything to see.
    pub(super) fn deliver_step(&self, number: u64) -> bool {
        let waker = self.local.events.waker_of_step(number);
        let mut steps = self.local.steps.borrow_mut();
        let Some(Live {
            kind: LiveKind::Recorded { future, .. },
            answer,
        }) = steps.get_mut(&number)
        else {
            // It was given up meanwhile.
            return false;
        };
        poll_into(future, &waker, answer)
    }

    /// Gives a signal to who waits for it longest, or keeps it.
    pub(super) fn deliver_signal(&self, signal: Signal) -> bool {
        if !self.is_told_first(&signal) {
            return false;
        }
        let mut steps = self.local.steps.borrow_mut();
        let waiting = steps.values_mut().find_map(|live| match &mut live.kind {
            LiveKind::Signal { name, taken } if *name == signal.name && taken.is_none() => Some((taken, &live.answer)),
            LiveKind::Signal { .. } | LiveKind::Recorded { .. } => None,
        });
        let Some((taken, answer)) = waiting else {
            self.local.unread.borrow_mut().push_back(signal);
            return false;
        };
        put(answer, signal.value.clone());
        *taken = Some(signal);
        true
    }

    /// Forgets the steps whose answers were read.
    pub(super) fn forget_read(&self) {
        let mut steps = self.local.steps.borrow_mut();
        // The run holds the other end until it has read it.
        steps.retain(|_, live| Arc::strong_count(&live.answer) > 1);
    }

    /// The workflow was told to end; nothing more comes from there.
    pub(super) fn cancellation_is_known(&self) {
        self.local.cancelled.borrow_mut().take();
    }

    /// Whether its request brought none before. Only the newest are known.
    fn is_told_first(&self, signal: &Signal) -> bool {
        let Some(request_id) = &signal.request_id else {
            return true;
        };
        let mut told = self.local.told.borrow_mut();
        if told.contains(request_id) {
            return false;
        }
        if told.len() >= MOST_TOLD {
            told.pop_front();
        }
        told.push_back(request_id.clone());
        true
    }

    /// What was not read or seen, and the requests that are known, for the run that goes on.
    pub(super) fn take_unread(&self) -> Unread {
        let mut signals: Vec<Signal> = self.local.unread.borrow_mut().drain(..).collect();
        let mut is_cancelled = false;
        for event in self.local.events.take() {
            match event {
                Event::Signal(signal) if self.is_told_first(&signal) => signals.push(signal),
                Event::Cancelled => is_cancelled = true,
                Event::Signal(_) | Event::Step(_) => {}
            }
        }
        Unread {
            signals,
            told: self.local.told.borrow_mut().drain(..).collect(),
            is_cancelled,
        }
    }
}

impl WorkflowHost for RunHost {
    fn now(&self) -> Timestamp {
        let now = self.local.ctx.workflow_time();
        now.map_or(Timestamp::UNIX_EPOCH, |now| to_micros(now.into()))
    }

    fn begin(&self, number: StepNumber, command: StepCommand) -> Result<StepFuture, WorkflowProblem> {
        let local = &*self.local;
        let answer = Answer::default();
        let kind = match command {
            StepCommand::WaitSignal { name } => {
                let name = name.to_string();
                let mut unread = local.unread.borrow_mut();
                let oldest = unread.iter().position(|signal| signal.name == name);
                let taken = oldest.and_then(|oldest| unread.remove(oldest));
                if let Some(signal) = &taken {
                    put(&answer, signal.value.clone());
                }
                LiveKind::Signal { name, taken }
            }
            recorded => {
                let token = WorkflowCancellationToken::new();
                let mut future = Some(steps::recorded(&local.ctx, number, recorded, &local.cause, &token)?);
                poll_into(&mut future, &local.events.waker_of_step(number.0), &answer);
                LiveKind::Recorded { future, token }
            }
        };
        let live = Live {
            kind,
            answer: Arc::clone(&answer),
        };
        local.steps.borrow_mut().insert(number.0, live);
        Ok(Box::pin(ReadAnswer(answer)))
    }

    fn cancel(&self, number: StepNumber) {
        let given_up = self.local.steps.borrow_mut().remove(&number.0);
        match given_up.map(|live| (live.kind, live.answer)) {
            // The command is given at once; what becomes of it, nobody waits for.
            Some((LiveKind::Recorded { token, .. }, _)) => token.cancel(),
            Some((
                LiveKind::Signal {
                    taken: Some(signal), ..
                },
                answer,
            )) if is_unread(&answer) => {
                self.local.unread.borrow_mut().push_front(signal);
            }
            Some((LiveKind::Signal { .. }, _)) | None => {}
        }
    }

    fn patched(&self, change: &ChangeName) -> Result<bool, WorkflowProblem> {
        Ok(self.local.ctx.patched(change.as_str()))
    }
}

/// Whether it answered.
fn poll_into(future: &mut Option<LocalBoxFuture<'static, Answered>>, waker: &Waker, answer: &Answer) -> bool {
    let polled = future
        .as_mut()
        .map(|future| future.as_mut().poll(&mut Context::from_waker(waker)));
    let Some(Poll::Ready(answered)) = polled else {
        return false;
    };
    *future = None;
    put(answer, answered);
    true
}

fn put(answer: &Answer, answered: Answered) {
    *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answered);
}

fn is_unread(answer: &Answer) -> bool {
    answer.lock().unwrap_or_else(PoisonError::into_inner).is_some()
}

/// Ready when the answer lies there. It is polled after each that was put, so nobody is woken.
struct ReadAnswer(Answer);

impl Future for ReadAnswer {
    type Output = Answered;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Answered> {
        let answered = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        answered.map_or(Poll::Pending, Poll::Ready)
    }
}
