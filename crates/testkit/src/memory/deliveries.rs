//! The queue's consuming side.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{RawTask, TopicName};
use aftercommit_domain::failure::Failure;
use aftercommit_domain::tasks::{
    ConsumeError, ConsumeOptions, DeadLetter, Deliveries, Delivery, Outcome, QueueConsumer, SettleError, TaskState,
};
use aftercommit_domain::time::after;
use async_trait::async_trait;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::queue::LONGEST_WAIT;
use super::tasks::{Ended, Lease, Row, Taken};
use super::{InMemory, until};

struct MemoryDeliveries {
    provider: InMemory,
    topic: TopicName,
    lease: Duration,
    consumer: Arc<LiveConsumer>,
    /// One permit for each delivery that may be handed out.
    slots: Arc<Semaphore>,
    stopped: bool,
}

/// A consumer, as long as it takes tasks or has one in hand.
struct LiveConsumer {
    provider: InMemory,
    number: u64,
}

struct MemoryDelivery {
    provider: InMemory,
    task: RawTask,
    attempt: u32,
    redelivered: bool,
    /// `None` once settled.
    lease: Option<Lease>,
    _slot: OwnedSemaphorePermit,
    _consumer: Arc<LiveConsumer>,
}

#[async_trait]
impl QueueConsumer for InMemory {
    async fn consume(&self, topic: &TopicName, options: ConsumeOptions) -> Result<Box<dyn Deliveries>, ConsumeError> {
        let number = self.lock().tasks.new_consumer(self.process);
        let consumer = LiveConsumer {
            provider: self.clone(),
            number,
        };
        Ok(Box::new(MemoryDeliveries {
            provider: self.clone(),
            topic: topic.clone(),
            lease: options.lease,
            consumer: Arc::new(consumer),
            slots: Arc::new(Semaphore::new(options.prefetch.max(1))),
            stopped: false,
        }))
    }
}

#[async_trait]
impl Deliveries for MemoryDeliveries {
    async fn next(&mut self) -> Result<Option<Box<dyn Delivery>>, ConsumeError> {
        if self.stopped {
            return Ok(None);
        }
        // The semaphore is never closed; if it were, there would be nothing to hand out any more.
        let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else {
            return Ok(None);
        };
        loop {
            let changed = self.provider.shared.queue_changed.notified();
            tokio::pin!(changed);
            // Armed before the look, so that a task published between the two is not missed.
            changed.as_mut().enable();
            let now = self.provider.now();
            let due = {
                let mut state = self.provider.lock();
                if let Some(taken) = state.tasks.take(&self.topic, now, self.consumer.number, self.lease) {
                    drop(state);
                    return Ok(Some(self.delivery(taken, slot)));
                }
                state.tasks.next_due(&self.topic, now)
            };
            let wait = due.map_or(LONGEST_WAIT, |due| until(now, due).min(LONGEST_WAIT));
            tokio::select! {
                biased;
                () = changed => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn stop(&mut self) {
        // Nothing is taken ahead, so there is nothing to give back.
        self.stopped = true;
    }
}

impl MemoryDeliveries {
    fn delivery(&self, taken: Taken, slot: OwnedSemaphorePermit) -> Box<dyn Delivery> {
        Box::new(MemoryDelivery {
            provider: self.provider.clone(),
            task: RawTask {
                topic: taken.topic,
                body: taken.body,
                foreign_content: None,
            },
            attempt: taken.attempt,
            redelivered: taken.redelivered,
            lease: Some(taken.lease),
            _slot: slot,
            _consumer: Arc::clone(&self.consumer),
        })
    }
}

impl Drop for MemoryDeliveries {
    fn drop(&mut self) {
        // What was handed out before a stop can still be settled, however long that takes.
        if !self.stopped {
            self.consumer.end();
        }
    }
}

impl LiveConsumer {
    /// What it holds is its own only until the leases end.
    fn end(&self) {
        let now = self.provider.now();
        self.provider.lock().tasks.remove_consumer(self.number, now);
        self.provider.shared.queue_changed.notify_waiters();
    }
}

impl Drop for LiveConsumer {
    fn drop(&mut self) {
        self.end();
    }
}

#[async_trait]
impl Delivery for MemoryDelivery {
    fn task(&self) -> &RawTask {
        &self.task
    }

    fn attempt(&self) -> u32 {
        self.attempt
    }

    fn redelivered(&self) -> bool {
        self.redelivered
    }

    async fn ack(mut self: Box<Self>, outcome: &Outcome) -> Result<(), SettleError> {
        let (state, reason) = match outcome {
            Outcome::Completed => (TaskState::Completed, None),
            Outcome::Skipped(reason) => (TaskState::Skipped, Some(reason.to_string())),
            Outcome::Cancelled(reason) => (TaskState::Cancelled, Some(reason.to_string())),
            // The contract says this is never acked; taken at its word it waits.
            Outcome::Snoozed(wait) => return self.retry(*wait, false, None).await,
        };
        let now = self.provider.now();
        let attempt = self.attempt;
        self.settle(|all, lease| {
            let row = all.tasks.finish(lease)?;
            let mut summary = row.summary(now);
            summary.state = state;
            summary.reason = reason;
            summary.attempts = attempt;
            summary.due_at = None;
            summary.finished_at = Some(now);
            all.tasks.record(Ended {
                summary,
                code: None,
                cause: row.envelope.map(|task| task.cause),
            });
            Some(())
        })
    }

    async fn retry(
        mut self: Box<Self>,
        delay: Duration,
        counted: bool,
        failure: Option<&Failure>,
    ) -> Result<(), SettleError> {
        let due = after(self.provider.now(), delay);
        self.settle(|all, lease| all.tasks.retry(lease, due, counted, failure))
    }

    async fn dead_letter(mut self: Box<Self>, failure: &Failure) -> Result<(), SettleError> {
        let died_at = self.provider.now();
        let attempts = self.attempt;
        self.settle(|all, lease| {
            let Row {
                id,
                topic,
                body,
                envelope,
                ..
            } = all.tasks.finish(lease)?;
            all.dead.add(DeadLetter::new(
                id,
                topic,
                envelope,
                body.to_vec(),
                attempts,
                failure.clone(),
                died_at,
            ));
            Some(())
        })
    }

    async fn give_back(mut self: Box<Self>) -> Result<(), SettleError> {
        self.settle(|all, lease| all.tasks.give_back(lease))
    }

    async fn set_aside(mut self: Box<Self>) -> Result<(), SettleError> {
        self.settle(|all, lease| all.tasks.set_aside(lease))
    }
}

impl MemoryDelivery {
    fn settle(&mut self, change: impl FnOnce(&mut super::State, Lease) -> Option<()>) -> Result<(), SettleError> {
        let lease = self.lease.take().ok_or(SettleError::Stale)?;
        change(&mut self.provider.lock(), lease).ok_or(SettleError::Stale)?;
        // Its end may let the next of its order key go.
        self.provider.shared.queue_changed.notify_waiters();
        Ok(())
    }
}

impl Drop for MemoryDelivery {
    fn drop(&mut self) {
        if let Some(lease) = self.lease {
            let now = self.provider.now();
            self.provider.lock().tasks.let_go(lease, now);
            self.provider.shared.queue_changed.notify_waiters();
        }
    }
}
