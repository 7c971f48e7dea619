//! Messages on their way into the database.

use std::time::Duration;

use aftercommit_domain::contract::TaskEnvelope;
use aftercommit_domain::failure::{Classified, Failure};
use aftercommit_domain::tasks::{DeadLetter, HeldTask, HoldError};
use tokio::time::sleep;

use crate::queue::Inner;
use crate::queue::arrival::Arrival;

/// The rest after the database did not answer.
pub(crate) const REST: Duration = Duration::from_millis(500);

/// A message that waits for its turn, or for its time.
pub(crate) struct Waiting {
    pub(crate) arrival: Arrival,
    pub(crate) task: TaskEnvelope,
}

/// A message that the database is to have.
pub(crate) struct ToHold {
    /// Its line, on a topic that keeps an order.
    pub(crate) key: Option<String>,
    pub(crate) waiting: Waiting,
}

/// What has become of a batch.
#[derive(Default)]
pub(crate) struct Holding {
    /// The database has them: held, or as dead letters when it refuses to hold them.
    pub(crate) taken: Vec<ToHold>,
    /// It has not, as far as is known: to be tried again, in this order.
    pub(crate) left: Vec<ToHold>,
}

impl Inner {
    /// Holds a batch; each task for itself when one of them is refused. Rests when something is left.
    pub(crate) async fn hold(&self, batch: Vec<ToHold>) -> Holding {
        let all = batch.iter().map(ToHold::held).collect();
        let holding = match self.stores.held.hold(all).await {
            Ok(()) => Holding {
                taken: batch,
                left: Vec::new(),
            },
            Err(HoldError::Refused { .. }) => self.hold_each(batch).await,
            Err(error @ HoldError::Unavailable { .. }) => {
                tracing::warn!(tasks = batch.len(), %error, "tasks could not be held; they stay with the broker until they are");
                Holding {
                    taken: Vec::new(),
                    left: batch,
                }
            }
        };
        if !holding.taken.is_empty() {
            failpoint!(HOLD_AFTER_WRITE);
        }
        if !holding.left.is_empty() {
            sleep(REST).await;
        }
        holding
    }

    async fn hold_each(&self, batch: Vec<ToHold>) -> Holding {
        let mut holding = Holding::default();
        for one in batch {
            // What follows a left one may be of its line.
            if !holding.left.is_empty() {
                holding.left.push(one);
                continue;
            }
            match self.hold_or_bury(&one).await {
                Ok(()) => holding.taken.push(one),
                Err(error) => {
                    let id = one.waiting.task.id;
                    tracing::warn!(%id, error, "a task could not be held; it stays with the broker until it is");
                    holding.left.push(one);
                }
            }
        }
        holding
    }

    /// A task that the database refuses to hold becomes a dead letter: trying again would not change its mind.
    async fn hold_or_bury(&self, one: &ToHold) -> Result<(), String> {
        let refusal = match self.stores.held.hold(vec![one.held()]).await {
            Ok(()) => return Ok(()),
            Err(refusal @ HoldError::Refused { .. }) => refusal,
            Err(error @ HoldError::Unavailable { .. }) => return Err(error.to_string()),
        };
        let Waiting { arrival, task } = &one.waiting;
        tracing::warn!(id = %task.id, topic = %task.topic, error = %refusal, "a task that cannot be held becomes a dead letter");
        let letter = DeadLetter::new(
            task.id,
            task.topic.clone(),
            Some(task.clone()),
            arrival.task.body.to_vec(),
            arrival.attempts,
            Failure::new(refusal.code(), refusal.class(), refusal.to_string()),
            self.services.clock.now(),
        );
        let buried = self.stores.dead_letters.add(letter).await;
        buried.map_err(|error| error.to_string())
    }
}

impl ToHold {
    fn held(&self) -> HeldTask {
        let Waiting { arrival, task } = &self.waiting;
        HeldTask {
            attempts: arrival.attempts,
            task: task.clone(),
            body: arrival.task.body.clone(),
            // The envelope says when, and the database's clock decides.
            wait: Duration::ZERO,
            failure: None,
            lost_runs: u32::from(arrival.redelivered),
            is_aside: false,
        }
    }
}
