//! What the SDK does for one run, behind the port.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
use super::length::Length;
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
    /// Signals that nobody took, the oldest in front.
    unread: Arc<Mutex<VecDeque<Signal>>>,
    /// The requests that brought signals, the oldest in front.
    told: RefCell<VecDeque<String>>,
    cancelled: RefCell<Option<LocalBoxFuture<'static, ()>>>,
    length: Length,
}

/// A step that has not been answered, or whose answer was not read.
struct Live {
    /// `None` once it answered.
    future: Option<LocalBoxFuture<'static, Answered>>,
    token: WorkflowCancellationToken,
    answer: Answer,
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
                unread: Arc::new(Mutex::new(unread.into())),
                told: RefCell::new(told.into()),
                cancelled: RefCell::new(Some(cancelled)),
                length: Length::default(),
            }),
        }
    }

    /// Puts what was recorded where the run finds it. Whether the run has anything to see.
    pub(super) fn deliver_step(&self, number: u64) -> bool {
        let waker = self.local.events.waker_of_step(number);
        let mut steps = self.local.steps.borrow_mut();
        let Some(Live { future, answer, .. }) = steps.get_mut(&number) else {
            // It was given up meanwhile.
            return false;
        };
        poll_into(future, &waker, answer)
    }

    /// Keeps a signal until a wait takes it. Whether it is a new one.
    pub(super) fn deliver_signal(&self, signal: Signal) -> bool {
        let is_new = self.is_told_first(&signal);
        if is_new {
            lock(&self.local.unread).push_back(signal);
        }
        is_new
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

    /// Says once that the run is long for its server, and went on all the same.
    pub(super) fn warn_if_overdue(&self) {
        let ctx = &self.local.ctx;
        let is_overdue = self.local.length.is_overdue(self.is_long(), ctx.history_length());
        // What was said when it happened is not said again in a replay.
        if is_overdue && !ctx.is_replaying() {
            let info = ctx.info();
            tracing::warn!(
                workflow = info.workflow_id(),
                run = info.run_id(),
                events = ctx.history_length(),
                "the history of a workflow has become long, and it does not go on as a new run: ask \
                 `ctx.should_continue_as_new()` where it can"
            );
        }
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
        let mut signals: Vec<Signal> = lock(&self.local.unread).drain(..).collect();
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
        if let StepCommand::WaitSignal { name } = command {
            let unread = Arc::clone(&local.unread);
            return Ok(Box::pin(poll_fn(move |_| take_signal(&unread, name.as_str()))));
        }
        let (answer, token) = (Answer::default(), WorkflowCancellationToken::new());
        let mut future = Some(steps::recorded(&local.ctx, number, command, &local.cause, &token)?);
        poll_into(&mut future, &local.events.waker_of_step(number.0), &answer);
        let live = Live {
            future,
            token,
            answer: Arc::clone(&answer),
        };
        local.steps.borrow_mut().insert(number.0, live);
        Ok(Box::pin(ReadAnswer(answer)))
    }

    fn cancel(&self, number: StepNumber) {
        let given_up = self.local.steps.borrow_mut().remove(&number.0);
        // The command is given at once; what becomes of it, nobody waits for.
        if let Some(live) = given_up {
            live.token.cancel();
        }
    }

    fn patched(&self, change: &ChangeName) -> Result<bool, WorkflowProblem> {
        Ok(self.local.ctx.patched(change.as_str()))
    }

    fn is_long(&self) -> bool {
        self.local.ctx.continue_as_new_suggested()
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
    *lock(answer) = Some(answered);
}

/// The oldest signal of a name goes to the wait that is polled first.
fn take_signal(unread: &Mutex<VecDeque<Signal>>, name: &str) -> Poll<Answered> {
    let mut unread = lock(unread);
    let oldest = unread.iter().position(|signal| signal.name == name);
    let taken = oldest.and_then(|oldest| unread.remove(oldest));
    taken.map_or(Poll::Pending, |signal| Poll::Ready(signal.value))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ready when the answer lies there. It is polled after each that was put, so nobody is woken.
struct ReadAnswer(Answer);

impl Future for ReadAnswer {
    type Output = Answered;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Answered> {
        let answered = lock(&self.0).take();
        answered.map_or(Poll::Pending, Poll::Ready)
    }
}
