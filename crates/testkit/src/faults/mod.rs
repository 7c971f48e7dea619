//! Faults on purpose: a wrapper round any provider that fails, hangs or loses replies as a test says.

mod delivery;
mod outbox;
mod queue;
mod schedules;
mod unit_of_work;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aftercommit_domain::contract::TaskEnvelope;
use aftercommit_domain::tasks::PublishError;
use tokio::sync::{Semaphore, watch};

/// A provider whose calls go wrong as a test says; what is not scripted goes through. Implements the ports that the
/// provider implements. Clones share the script.
///
/// ```
/// use aftercommit_testkit::faults::{Fault, Faulty, Operation};
/// use aftercommit_testkit::{InMemory, test_services};
///
/// let store = Faulty::new(InMemory::for_tests(&test_services()));
/// store.script(Operation::MarkPublished, [Fault::LoseReply, Fault::Pass, Fault::Hang]);
/// assert_eq!(store.calls(Operation::MarkPublished), 0);
/// ```
pub struct Faulty<P> {
    inner: Arc<P>,
    script: Arc<Script>,
}

/// What one call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Goes through.
    Pass,
    /// Fails as unavailable (a publish: as unknown; a commit: as rolled back); nothing was done.
    Fail,
    /// Is done, but the caller hears that the store is unavailable (a publish, a commit: that it is not known): the reply
    /// was lost.
    LoseReply,
    /// Takes this long before it goes through.
    Delay(Duration),
    /// Is done, but takes this long to answer. A call that is dropped meanwhile was done.
    DelayReply(Duration),
    /// Waits until [`Faulty::let_go`], then goes through. A call that is dropped while held did nothing.
    Hold,
    /// Is done, then waits until [`Faulty::let_go`] before it answers. A call that is dropped while held was done.
    HoldReply,
    /// Never answers; nothing was done.
    Hang,
    /// Panics; nothing was done.
    Panic,
}

/// The calls that can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `Outbox::claim`.
    Claim,
    /// `Outbox::mark_published`.
    MarkPublished,
    /// `Outbox::release`.
    Release,
    /// `Outbox::rescue_expired`.
    RescueRows,
    /// `Outbox::stats`.
    OutboxStats,
    /// `Outbox::quarantined`.
    Quarantined,
    /// `OutboxTransfer::transfer`. A message that is refused refuses the whole call.
    Transfer,
    /// `UnitOfWorkFactory::begin`.
    Begin,
    /// `OutboxWriter::append`.
    Append,
    /// `Inbox::claim`.
    ClaimMessage,
    /// `UnitOfWork::commit`.
    Commit,
    /// `EventLog::record`.
    Record,
    /// `EventLog::list`.
    ListEvents,
    /// `EventLog::find`.
    FindEvent,
    /// `EventLog::prune`.
    PruneEvents,
    /// `QueuePublisher::publish`, the whole call. For single messages see [`Faulty::refuse`].
    Publish,
    /// `QueueConsumer::consume`.
    Consume,
    /// `Deliveries::next`.
    Next,
    /// `Deliveries::stop`; it cannot fail, so only waiting means something here.
    StopConsuming,
    /// `Delivery::ack`.
    Ack,
    /// `Delivery::retry`.
    Retry,
    /// `Delivery::dead_letter`.
    DeadLetter,
    /// `Delivery::give_back`.
    GiveBack,
    /// `QueueMaintenance::rescue_expired`.
    RescueTasks,
    /// `QueueMaintenance::prune_outcomes`.
    PruneOutcomes,
    /// `InboxMaintenance::prune`.
    PruneClaims,
    /// `DeadLetters::add`.
    Bury,
    /// `DeadLetters::list`.
    ListLetters,
    /// `DeadLetters::find`.
    FindLetter,
    /// `DeadLetters::replay`.
    ReplayLetters,
    /// `DeadLetters::discard`.
    DiscardLetters,
    /// `Schedules::reconcile`.
    Reconcile,
    /// `Schedules::due`.
    DueSchedules,
    /// `Schedules::tick`.
    Tick,
}

type Refusal = Arc<dyn Fn(&TaskEnvelope) -> Option<PublishError> + Send + Sync>;

struct Script {
    state: Mutex<State>,
    held: watch::Sender<usize>,
    released: Semaphore,
}

#[derive(Default)]
struct State {
    steps: HashMap<Operation, VecDeque<Fault>>,
    always: HashMap<Operation, Fault>,
    calls: HashMap<Operation, usize>,
    refusal: Option<Refusal>,
}

const REASON: &str = "the test says so";

impl<P> Faulty<P> {
    /// Wraps `inner`. Everything goes through until something is scripted.
    pub fn new(inner: P) -> Self {
        Self {
            inner: Arc::new(inner),
            script: Arc::new(Script {
                state: Mutex::default(),
                held: watch::Sender::new(0),
                released: Semaphore::new(0),
            }),
        }
    }

    /// The provider itself, without faults.
    pub fn inner(&self) -> &P {
        &self.inner
    }

    /// Adds what the next calls of `operation` do, one step each.
    pub fn script(&self, operation: Operation, steps: impl IntoIterator<Item = Fault>) {
        self.script.lock().steps.entry(operation).or_default().extend(steps);
    }

    /// What every call of `operation` does from now on, once the scripted steps are used up.
    pub fn always(&self, operation: Operation, fault: Fault) {
        self.script.lock().always.insert(operation, fault);
    }

    /// Refuses the messages for which `rule` has an error; the others of the same call go through, except those that
    /// follow a refused one in its order. The rule sees every message of every publish, also of one that is scripted
    /// to fail.
    pub fn refuse(&self, rule: impl Fn(&TaskEnvelope) -> Option<PublishError> + Send + Sync + 'static) {
        self.script.lock().refusal = Some(Arc::new(rule));
    }

    /// Refuses no message any more.
    pub fn refuse_none(&self) {
        self.script.lock().refusal = None;
    }

    /// How often `operation` was called.
    pub fn calls(&self, operation: Operation) -> usize {
        self.script.lock().calls.get(&operation).copied().unwrap_or_default()
    }

    /// Lets `count` held calls go on.
    pub fn let_go(&self, count: usize) {
        self.script.released.add_permits(count);
    }

    /// Returns once at least `count` calls are held. Has no deadline: wrap it in the test's own.
    pub async fn wait_for_held(&self, count: usize) {
        let mut held = self.script.held.subscribe();
        // The sender lives in `self`, so the wait cannot end before the number is reached.
        let _ = held.wait_for(|held| *held >= count).await;
    }
}

impl<P> Clone for Faulty<P> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            script: Arc::clone(&self.script),
        }
    }
}

impl Script {
    async fn around<T, E>(
        &self,
        operation: Operation,
        effect: impl Future<Output = Result<T, E>>,
        error: impl Fn() -> E,
    ) -> Result<T, E> {
        self.around_either(operation, effect, &error, &error).await
    }

    /// The same for a port that tells what was not done from what may have been.
    async fn around_either<T, E>(
        &self,
        operation: Operation,
        effect: impl Future<Output = Result<T, E>>,
        failed: impl FnOnce() -> E,
        lost: impl FnOnce() -> E,
    ) -> Result<T, E> {
        match self.next(operation) {
            Fault::Pass => effect.await,
            Fault::Fail => Err(failed()),
            Fault::LoseReply => effect.await.and_then(|_| Err(lost())),
            Fault::Delay(time) => {
                tokio::time::sleep(time).await;
                effect.await
            }
            Fault::DelayReply(time) => {
                let answer = effect.await;
                tokio::time::sleep(time).await;
                answer
            }
            Fault::Hold => {
                self.hold().await;
                effect.await
            }
            Fault::HoldReply => {
                let answer = effect.await;
                self.hold().await;
                answer
            }
            Fault::Hang => pending().await,
            Fault::Panic => panic!("{operation:?} panics because {REASON}"),
        }
    }

    fn next(&self, operation: Operation) -> Fault {
        let mut state = self.lock();
        *state.calls.entry(operation).or_default() += 1;
        let step = state.steps.get_mut(&operation).and_then(VecDeque::pop_front);
        step.or_else(|| state.always.get(&operation).copied())
            .unwrap_or(Fault::Pass)
    }

    async fn hold(&self) {
        let _held = Held::new(&self.held);
        // The semaphore is never closed.
        if let Ok(permit) = self.released.acquire().await {
            permit.forget();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A test that failed while it held the lock must not fail the others.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a held call for as long as it is held, also when it is dropped.
struct Held<'a>(&'a watch::Sender<usize>);

impl<'a> Held<'a> {
    fn new(held: &'a watch::Sender<usize>) -> Self {
        held.send_modify(|held| *held += 1);
        Self(held)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|held| *held -= 1);
    }
}
