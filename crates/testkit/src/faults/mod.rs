//! Faults on purpose: a wrapper round any provider that fails, hangs or loses replies as a test says.

mod delivery;
mod outbox;
mod queue;

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
    /// Fails as unavailable (a publish: as unknown); nothing was done.
    Fail,
    /// Is done, but the caller hears that the store is unavailable: the reply was lost.
    LoseReply,
    /// Takes this long before it goes through.
    Delay(Duration),
    /// Waits until [`Faulty::let_go`], then goes through. A call that is dropped while held did nothing.
    Hold,
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
    /// `OutboxTransfer::transfer`. A message that is refused refuses the whole call.
    Transfer,
    /// `EventLog::record`.
    Record,
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
        error: impl FnOnce() -> E,
    ) -> Result<T, E> {
        match self.next(operation) {
            Fault::Pass => effect.await,
            Fault::Fail => Err(error()),
            Fault::LoseReply => effect.await.and_then(|_| Err(error())),
            Fault::Delay(time) => {
                tokio::time::sleep(time).await;
                effect.await
            }
            Fault::Hold => {
                self.hold().await;
                effect.await
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

#[cfg(test)]
mod tests {
    use aftercommit_domain::contract::{Cause, Json, Limits, Tenant};
    use aftercommit_domain::tasks::{Published, QueuePublisher};
    use futures::FutureExt;

    use super::*;
    use crate::{InMemory, TestServices, test_services};

    fn task(services: &TestServices, order_key: Option<&str>) -> TaskEnvelope {
        TaskEnvelope {
            id: services.envelopes.new_id(),
            topic: "letters".parse().unwrap(),
            task: "send".parse().unwrap(),
            version: 1,
            tenant: Tenant::System,
            attempt: 1,
            enqueued_at: services.envelopes.now(),
            first_enqueued_at: services.envelopes.now(),
            not_before: None,
            deadline: None,
            order_key: order_key.map(|key| key.parse().unwrap()),
            cause: Cause::root(),
            payload: Json::parse("{}", &Limits::default()).unwrap(),
        }
    }

    #[tokio::test]
    async fn what_fails_was_not_done_and_what_lost_its_reply_was() {
        let services = test_services();
        let store = Faulty::new(InMemory::for_tests(&services));
        store.script(Operation::Publish, [Fault::Fail, Fault::LoseReply]);
        let (failed, lost) = (task(&services, None), task(&services, None));
        for task in [&failed, &lost] {
            let answers = store.publish(vec![task.clone()]).await;
            assert!(
                matches!(answers[..], [Err(PublishError::Unknown { .. })]),
                "{answers:?}"
            );
        }
        let answers = store.publish(vec![failed, lost]).await;
        assert!(
            matches!(
                answers[..],
                [Ok(Published::Enqueued(_)), Ok(Published::AlreadyThere(_))]
            ),
            "{answers:?}"
        );
        assert_eq!(store.calls(Operation::Publish), 3);
    }

    #[tokio::test]
    async fn a_refused_message_holds_back_what_follows_it_in_its_order_and_nothing_else() {
        let services = test_services();
        let store = Faulty::new(InMemory::for_tests(&services));
        let tasks = [Some("a"), Some("a"), Some("b"), None].map(|key| task(&services, key));
        let refused = tasks[0].id;
        store.refuse(move |task| (task.id == refused).then(|| PublishError::Refused { reason: "full".into() }));
        let answers = store.publish(tasks.into()).await;
        assert!(
            matches!(
                answers[..],
                [
                    Err(PublishError::Refused { .. }),
                    Err(PublishError::Blocked),
                    Ok(_),
                    Ok(_)
                ]
            ),
            "{answers:?}"
        );
    }

    #[tokio::test]
    async fn a_held_call_goes_on_when_it_is_let_go_and_a_hanging_one_never() {
        let services = test_services();
        let store = Faulty::new(InMemory::for_tests(&services));
        store.script(Operation::Publish, [Fault::Hold, Fault::Hang]);
        let (answers, ()) = futures::join!(store.publish(vec![task(&services, None)]), async {
            store.wait_for_held(1).await;
            store.let_go(1);
        });
        assert!(matches!(answers[..], [Ok(_)]), "{answers:?}");
        assert!(store.publish(vec![task(&services, None)]).now_or_never().is_none());
    }
}
