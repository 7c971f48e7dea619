//! What people ordered about tasks, as this process knows it: what is paused, and what is not to be run any more.

mod order_loop;
mod running;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aftercommit_domain::contract::{TaskEnvelope, TopicName};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{AttemptEnd, CancelOrder, Pause, PauseTarget, Reason, TaskCancellations};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub(crate) use order_loop::{OrderLoop, OrderLoopPorts};
pub(crate) use running::RunningTask;

/// How long it may take to ask about one task, when there are more orders than are kept here.
const ASK: Duration = Duration::from_secs(2);

/// What is ordered, and what runs here. One for all loops of a process.
pub(crate) struct Orders {
    /// `None` until the store was asked once: a restart must not run what is paused.
    pauses: watch::Sender<Option<Arc<[Pause]>>>,
    cancellations: Arc<dyn TaskCancellations>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    cancelled: HashMap<MessageId, Reason>,
    /// Whether there are more orders than these.
    has_more: bool,
    /// A task may run here twice at a time, after its lease was lost.
    running: HashMap<MessageId, Vec<(u64, CancellationToken)>>,
    runs: u64,
}

impl Orders {
    pub(crate) fn new(cancellations: Arc<dyn TaskCancellations>) -> Arc<Self> {
        Arc::new(Self {
            pauses: watch::Sender::new(None),
            cancellations,
            known: Mutex::default(),
        })
    }

    /// Returns once no pause holds this topic as a whole.
    pub(crate) async fn until_open(&self, topic: &TopicName) {
        let mut pauses = self.pauses.subscribe();
        // The sender lives as long as `self`.
        let _ = pauses
            .wait_for(|pauses| {
                pauses
                    .as_ref()
                    .is_some_and(|pauses| topic_pause(pauses, topic).is_none())
            })
            .await;
    }

    /// Returns once a pause holds this topic as a whole.
    pub(crate) async fn until_paused(&self, topic: &TopicName) {
        let mut pauses = self.pauses.subscribe();
        let _ = pauses
            .wait_for(|pauses| {
                pauses
                    .as_ref()
                    .is_some_and(|pauses| topic_pause(pauses, topic).is_some())
            })
            .await;
    }

    /// Whether a pause holds this topic as a whole.
    pub(crate) fn is_paused(&self, topic: &TopicName) -> bool {
        let pauses = self.pauses.borrow();
        pauses
            .as_ref()
            .is_some_and(|pauses| topic_pause(pauses, topic).is_some())
    }

    /// Whether a pause holds this task by itself.
    fn holds(&self, task: &TaskEnvelope) -> bool {
        let pauses = self.pauses.borrow();
        pauses
            .as_ref()
            .is_some_and(|pauses| pauses.iter().any(|pause| pause.holds(task)))
    }

    /// How a task ends without being run, as far as is known here.
    pub(crate) fn forbids(&self, topic: &TopicName, task: &TaskEnvelope) -> Option<AttemptEnd> {
        if self.is_paused(topic) {
            return Some(AttemptEnd::Interrupted);
        }
        if self.holds(task) {
            return Some(AttemptEnd::Paused);
        }
        let reason = self.known().cancelled.get(&task.id).cloned();
        reason.map(AttemptEnd::Cancelled)
    }

    /// Notes that a task begins here, so that an order which comes now reaches it.
    pub(crate) async fn begin(self: &Arc<Self>, task: MessageId) -> RunningTask {
        let running = self.enter(task);
        if running.is_cancelled().is_none() && self.known().has_more {
            // Without an answer it is run: an order is carried out late rather than a task held up.
            if let Ok(Ok(Some(order))) = timeout(ASK, self.cancellations.find(task)).await {
                self.note(&order);
            }
        }
        running
    }

    fn enter(self: &Arc<Self>, task: MessageId) -> RunningTask {
        let token = CancellationToken::new();
        let mut known = self.known();
        known.runs += 1;
        let run = known.runs;
        if known.cancelled.contains_key(&task) {
            token.cancel();
        }
        known.running.entry(task).or_default().push((run, token.clone()));
        drop(known);
        RunningTask::new(Arc::clone(self), task, run, token)
    }

    fn leave(&self, task: MessageId, run: u64) {
        let mut known = self.known();
        if let Some(runs) = known.running.get_mut(&task) {
            runs.retain(|(number, _)| *number != run);
            if runs.is_empty() {
                known.running.remove(&task);
            }
        }
    }

    fn reason(&self, task: MessageId) -> Reason {
        let reason = self.known().cancelled.get(&task).cloned();
        reason.unwrap_or_else(|| Reason::new("it was ordered"))
    }

    fn note(&self, order: &CancelOrder) {
        let mut known = self.known();
        known.cancelled.insert(order.task, order.outcome());
        for (_, token) in known.running.get(&order.task).into_iter().flatten() {
            token.cancel();
        }
    }

    /// Answers whether they are other ones.
    fn set_pauses(&self, pauses: Vec<Pause>) -> bool {
        self.pauses.send_if_modified(|known| {
            let is_other = known.as_deref() != Some(&*pauses);
            if is_other {
                *known = Some(pauses.into());
            }
            is_other
        })
    }

    fn set_cancelled(&self, orders: &[CancelOrder], has_more: bool) {
        let mut known = self.known();
        known.has_more = has_more;
        let Known { cancelled, running, .. } = &mut *known;
        // What runs here was told already; its reason is kept until it has ended.
        cancelled.retain(|task, _| running.contains_key(task));
        cancelled.extend(orders.iter().map(|order| (order.task, order.outcome())));
        for (task, runs) in running {
            for (_, token) in runs.iter().filter(|_| cancelled.contains_key(task)) {
                token.cancel();
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Plain values, whole after any panic.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn topic_pause<'p>(pauses: &'p [Pause], topic: &TopicName) -> Option<&'p Pause> {
    let is_it = |pause: &&Pause| matches!(&pause.target, PauseTarget::Topic(paused) if paused == topic);
    pauses.iter().find(is_it)
}
