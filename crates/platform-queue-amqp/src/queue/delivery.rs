//! One message, settled exactly once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aftercommit_domain::contract::{RawTask, TaskEnvelope};
use aftercommit_domain::failure::{Classified, Failure};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{DeadLetter, Delivery, EndedTask, HeldTask, Outcome, PublishError, SettleError};
use async_trait::async_trait;
use lapin::Acker;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;

use crate::link::{CALL_LIMIT, Epoch};
use crate::queue::Inner;
use crate::queue::arrival::{Arrival, id_of_bytes};
use crate::queue::consumer::{Outstanding, Ready};
use crate::queue::message::{CONTENT_TYPE, Outgoing};
use crate::queue::patience::patiently;
use crate::queue::pump::LineEvent;
use crate::topology::LONGEST_DELAY;

/// A delivery's share of the prefetch, and its count; free when it is dropped.
pub(crate) struct Place {
    outstanding: Arc<Outstanding>,
    at_hand: Arc<AtomicU64>,
    _room: OwnedSemaphorePermit,
}

impl Place {
    pub(crate) fn new(outstanding: &Arc<Outstanding>, at_hand: &Arc<AtomicU64>, room: OwnedSemaphorePermit) -> Self {
        outstanding.add();
        at_hand.fetch_add(1, Ordering::Relaxed);
        Self {
            outstanding: Arc::clone(outstanding),
            at_hand: Arc::clone(at_hand),
            _room: room,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.at_hand.fetch_sub(1, Ordering::Relaxed);
        self.outstanding.remove();
    }
}

/// A message with a handler.
pub(crate) struct AmqpDelivery {
    inner: Arc<Inner>,
    epoch: Arc<Epoch>,
    /// The key it is the head of, on a topic that keeps an order.
    line: Option<String>,
    line_events: mpsc::UnboundedSender<LineEvent>,
    /// `None` once it is settled.
    arrival: Option<Arrival>,
    /// As `arrival` had it.
    task: RawTask,
    attempts: u32,
    redelivered: bool,
    /// Given up last, when everyone who waits for it can be told.
    _place: Place,
}

impl AmqpDelivery {
    pub(crate) fn new(
        inner: &Arc<Inner>,
        epoch: &Arc<Epoch>,
        ready: Ready,
        line_events: &mpsc::UnboundedSender<LineEvent>,
        place: Place,
    ) -> Self {
        let Ready { arrival, line } = ready;
        Self {
            inner: Arc::clone(inner),
            epoch: Arc::clone(epoch),
            line,
            line_events: line_events.clone(),
            task: arrival.task.clone(),
            attempts: arrival.attempts,
            redelivered: arrival.redelivered,
            arrival: Some(arrival),
            _place: place,
        }
    }

    /// Its envelope, if it is one; unless its channel is gone, and the message with it.
    fn live(&self) -> Result<Option<TaskEnvelope>, SettleError> {
        match &self.arrival {
            Some(arrival) if !arrival.acker.poisoned() => Ok(arrival.envelope(&self.inner.services.limits)),
            Some(_) | None => Err(SettleError::Stale),
        }
    }

    /// Acks it: whatever was to be done is done.
    async fn finish(&mut self, event: fn(String) -> LineEvent) -> Result<(), SettleError> {
        let Some(arrival) = self.arrival.take() else {
            return Err(SettleError::Stale);
        };
        failpoint!(AMQP_BEFORE_ACK);
        let acked = timeout(CALL_LIMIT, arrival.acker.ack(BasicAckOptions::default())).await;
        if matches!(acked, Ok(Ok(_))) {
            failpoint!(AMQP_AFTER_ACK);
        }
        if let Some(line) = self.line.take() {
            // The pump may be gone; the line is, too, then.
            let _ = self.line_events.send(event(line));
        }
        match acked {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false) | Err(_)) => Err(SettleError::Stale),
            Err(_) => Err(SettleError::Unavailable {
                reason: format!("the ack was not taken within {CALL_LIMIT:?}"),
            }),
        }
    }

    /// What is recorded of its end.
    fn ended(&self, task: TaskEnvelope, outcome: &Outcome) -> EndedTask {
        EndedTask {
            id: task.id,
            topic: task.topic,
            task: task.task,
            tenant: task.tenant,
            attempts: self.attempt(),
            outcome: outcome.clone(),
            enqueued_at: task.first_enqueued_at,
            cause: task.cause,
        }
    }

    fn id(&self, envelope: Option<&TaskEnvelope>) -> MessageId {
        envelope.map_or_else(|| id_of_bytes(&self.task), |task| task.id)
    }

    /// The message that is its next attempt.
    fn next_attempt(&self, id: MessageId, attempts: u32, failure: Option<&Failure>, after: Duration) -> Outgoing {
        let topology = &self.inner.topology;
        let outgoing = Outgoing {
            id,
            topic: self.task.topic.clone(),
            ordering: None,
            exchange: topology.publish_exchange(),
            key: topology.direct_key(&self.task.topic, &id.to_string()),
            body: Arc::clone(&self.task.body),
            content_type: CONTENT_TYPE,
            must_be_routed: true,
            attempts,
            due: None,
            failure: failure.map(ToString::to_string),
        };
        if topology.is_ordered(&self.task.topic) {
            outgoing
        } else {
            outgoing.after(after, topology, &*self.inner.services.clock)
        }
    }

    async fn hold(&self, held: HeldTask) -> Result<(), SettleError> {
        let hold = || self.inner.stores.held.hold(vec![held.clone()]);
        patiently(self.epoch.lost(), hold)
            .await
            .map_err(|error| unsettled(&error))
    }
}

#[async_trait]
impl Delivery for AmqpDelivery {
    fn task(&self) -> &RawTask {
        &self.task
    }

    fn attempt(&self) -> u32 {
        self.attempts.saturating_add(1)
    }

    fn redelivered(&self) -> bool {
        self.redelivered
    }

    fn is_held(&self) -> bool {
        let has_channel = self.arrival.as_ref().is_some_and(|arrival| !arrival.acker.poisoned());
        has_channel && !self.epoch.lost().is_cancelled()
    }

    async fn ack(mut self: Box<Self>, outcome: &Outcome) -> Result<(), SettleError> {
        if self.inner.recorder.keeps(outcome)
            && let Some(task) = self.live()?
        {
            let ended = self.ended(task, outcome);
            let record = || self.inner.recorder.record(ended.clone());
            let recorded = patiently(self.epoch.lost(), record).await;
            match (recorded, outcome) {
                (Ok(()), _) => {
                    failpoint!(AMQP_AFTER_HISTORY);
                }
                // It is done: another run would cost more than a gap in the history.
                (Err(error), Outcome::Completed) => {
                    tracing::warn!(topic = %self.task.topic, %error, "a completed task is missing in the history");
                }
                (Err(error), _) => return Err(unsettled(&error)),
            }
        }
        self.finish(LineEvent::Over).await
    }

    async fn retry(
        mut self: Box<Self>,
        after: Duration,
        counted: bool,
        failure: Option<&Failure>,
    ) -> Result<(), SettleError> {
        let attempts = self.attempt().saturating_sub(u32::from(!counted));
        let envelope = self.live()?;
        let next = self.next_attempt(self.id(envelope.as_ref()), attempts, failure, after);
        let can_be_held = envelope.map(|task| HeldTask {
            task,
            body: Arc::clone(&self.task.body),
            attempts,
            wait: after,
            failure: failure.cloned(),
            lost_runs: 0,
            is_aside: false,
        });
        let stays_with_broker = !self.inner.topology.is_ordered(&self.task.topic) && after <= LONGEST_DELAY;
        if stays_with_broker || can_be_held.is_none() {
            let published = self.inner.republish(next).await;
            match (published, can_be_held) {
                (Ok(()), _) => {
                    failpoint!(RETRY_AFTER_REPUBLISH);
                    return self.finish(LineEvent::Over).await;
                }
                // Blocked, full or away: the database takes it, with its attempt and its wait.
                (Err(error), Some(held)) => {
                    tracing::debug!(topic = %self.task.topic, %error, "the broker did not take a retry; the database holds it");
                    self.hold(held).await?;
                }
                (Err(error), None) => return Err(unsettled(&error)),
            }
        } else if let Some(held) = can_be_held {
            self.hold(held).await?;
        }
        failpoint!(RETRY_AFTER_HOLD);
        self.finish(LineEvent::Held).await
    }

    async fn dead_letter(mut self: Box<Self>, failure: &Failure) -> Result<(), SettleError> {
        let attempts = self.attempt();
        let envelope = self.live()?;
        let letter = DeadLetter::new(
            self.id(envelope.as_ref()),
            self.task.topic.clone(),
            envelope,
            self.task.body.to_vec(),
            attempts,
            failure.clone(),
            self.inner.services.clock.now(),
        );
        let add = || self.inner.stores.dead_letters.add(letter.clone());
        patiently(self.epoch.lost(), add)
            .await
            .map_err(|error| unsettled(&error))?;
        failpoint!(DEAD_LETTER_AFTER_WRITE);
        self.finish(LineEvent::Over).await
    }

    /// The database has it from then on: a broker cannot keep one back and hand out those behind it.
    async fn set_aside(mut self: Box<Self>) -> Result<(), SettleError> {
        let attempts = self.attempts;
        let Some(task) = self.live()? else {
            return self.give_back().await;
        };
        let held = HeldTask {
            task,
            body: Arc::clone(&self.task.body),
            attempts,
            wait: Duration::ZERO,
            failure: None,
            lost_runs: u32::from(self.redelivered),
            is_aside: true,
        };
        self.hold(held).await?;
        self.finish(LineEvent::Held).await
    }

    async fn give_back(mut self: Box<Self>) -> Result<(), SettleError> {
        self.live()?;
        let Some(arrival) = self.arrival.take() else {
            return Err(SettleError::Stale);
        };
        match self.line.take() {
            // Only this consumer has the key: it goes back to the head of its line.
            Some(line) => {
                let _ = self.line_events.send(LineEvent::Again(line, arrival));
                Ok(())
            }
            None if requeue(&self.epoch, &arrival.acker).await => Ok(()),
            None => Err(SettleError::Stale),
        }
    }
}

impl Drop for AmqpDelivery {
    /// Whoever drops it unsettled lets it come again.
    fn drop(&mut self) {
        let Some(mut arrival) = self.arrival.take() else { return };
        arrival.redelivered = true;
        if let Some(line) = self.line.take() {
            let _ = self.line_events.send(LineEvent::Again(line, arrival));
        } else {
            let epoch = Arc::clone(&self.epoch);
            let requeueing = async move {
                requeue(&epoch, &arrival.acker).await;
            };
            self.inner.tracker.spawn_on(requeueing, &self.inner.runtime);
        }
    }
}

/// Puts a message back into its queue. Answers whether it was still to be had.
pub(crate) async fn requeue(epoch: &Epoch, acker: &Acker) -> bool {
    let options = BasicNackOptions {
        requeue: true,
        ..BasicNackOptions::default()
    };
    let nacked = epoch.within(CALL_LIMIT, "give back", acker.nack(options)).await;
    nacked.unwrap_or(false)
}

fn unsettled(error: &dyn Classified) -> SettleError {
    SettleError::Unavailable {
        reason: error.to_string(),
    }
}

impl Inner {
    /// Publishes one message of this library's own.
    pub(crate) async fn republish(&self, message: Outgoing) -> Result<(), PublishError> {
        let published = self
            .lanes
            .publish(vec![message], |ordering| self.topology.partition(ordering));
        published.await.pop().unwrap_or(Err(PublishError::Blocked))
    }
}
