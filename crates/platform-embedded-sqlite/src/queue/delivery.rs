//! One task in a worker's hands.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::RawTask;
use aftercommit_domain::failure::Failure;
use aftercommit_domain::tasks::{Delivery, Outcome, SettleError};
use aftercommit_domain::time::after;
use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::columns::micros;
use crate::database::Inner;
use crate::queue::consumer::Consumer;
use crate::queue::pump::Taken;
use crate::queue::settlement::{SettleJob, Settlement};
use crate::run_sheet::Place;
use crate::writer::Job;

/// One task, taken from its topic.
pub(crate) struct SqliteDelivery {
    database: Arc<Inner>,
    consumer: Arc<Consumer>,
    taken: Taken,
    is_settled: bool,
}

impl SqliteDelivery {
    pub(crate) fn new(database: &Arc<Inner>, consumer: &Arc<Consumer>, taken: Taken) -> Self {
        Self {
            database: Arc::clone(database),
            consumer: Arc::clone(consumer),
            taken,
            is_settled: false,
        }
    }

    fn place(&self) -> Option<Place> {
        self.consumer.topic.place(self.taken.seq, self.taken.token)
    }

    async fn settle(mut self: Box<Self>, settlement: Settlement) -> Result<(), SettleError> {
        let (seq, token) = (self.taken.seq, self.taken.token);
        self.is_settled = true;
        if !self.consumer.topic.begin_settling(seq, token) {
            self.consumer.release(1);
            return Err(SettleError::Stale);
        }
        let (reply, answer) = oneshot::channel();
        let job = SettleJob {
            seq,
            token,
            ordering: self.taken.ordering.take(),
            settlement,
            consumer: Arc::clone(&self.consumer),
            reply,
        };
        // From the moment the writer has it, it is written even when nobody waits for the answer.
        let mut handed_over = HandOver {
            consumer: &self.consumer,
            seq,
            token,
            is_done: false,
        };
        let submitted = self.database.writer.submit(Job::Settle(job)).await;
        handed_over.is_done = submitted.is_ok();
        drop(handed_over);
        if submitted.is_err() {
            return Err(closed());
        }
        answer.await.unwrap_or_else(|_| Err(closed()))
    }
}

fn closed() -> SettleError {
    SettleError::Unavailable {
        reason: "the database is closed".into(),
    }
}

/// Settling was begun; when it does not reach the writer, the lease runs out.
struct HandOver<'d> {
    consumer: &'d Consumer,
    seq: i64,
    token: i64,
    is_done: bool,
}

impl Drop for HandOver<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            let topic = &self.consumer.topic;
            topic.settling_failed(self.seq, self.token, self.consumer.lease_end());
            self.consumer.release(1);
        }
    }
}

#[async_trait]
impl Delivery for SqliteDelivery {
    fn task(&self) -> &RawTask {
        &self.taken.raw
    }

    fn attempt(&self) -> u32 {
        self.taken.attempt
    }

    fn redelivered(&self) -> bool {
        self.taken.redelivered
    }

    fn is_held(&self) -> bool {
        self.place().is_some()
    }

    fn must_run_alone(&self) -> bool {
        self.taken.must_run_alone
    }

    async fn begin_alone(&self) -> Result<(), SettleError> {
        let place = self.place().ok_or(SettleError::Stale)?;
        let marked = self.consumer.sheet.mark_alone(place, self.taken.seq);
        marked.map_err(|error| SettleError::Unavailable {
            reason: format!("the run sheet: {error}"),
        })
    }

    async fn ack(self: Box<Self>, outcome: &Outcome) -> Result<(), SettleError> {
        let settlement = match outcome {
            Outcome::Completed => Settlement::Completed,
            Outcome::Skipped(reason) => Settlement::Ended {
                outcome: "skipped",
                reason: reason.as_str().to_owned(),
            },
            Outcome::Cancelled(reason) => Settlement::Ended {
                outcome: "cancelled",
                reason: reason.as_str().to_owned(),
            },
            // A snooze is no end; taken for what it says rather than lost.
            Outcome::Snoozed(wait) => return self.retry(*wait, false, None).await,
        };
        self.settle(settlement).await
    }

    async fn retry(
        self: Box<Self>,
        wait: Duration,
        counted: bool,
        failure: Option<&Failure>,
    ) -> Result<(), SettleError> {
        let settlement = Settlement::Retry {
            due_at: micros(after(self.database.services.clock.now(), wait)),
            counted,
            failure: failure.cloned(),
        };
        self.settle(settlement).await
    }

    async fn dead_letter(self: Box<Self>, failure: &Failure) -> Result<(), SettleError> {
        let failure = failure.clone();
        self.settle(Settlement::Dead { failure }).await
    }

    async fn set_aside(self: Box<Self>) -> Result<(), SettleError> {
        self.settle(Settlement::SetAside).await
    }

    async fn give_back(mut self: Box<Self>) -> Result<(), SettleError> {
        let (consumer, topic) = (&self.consumer, &self.consumer.topic);
        self.is_settled = true;
        let is_ours = topic.begin_settling(self.taken.seq, self.taken.token);
        // The row was never changed, so nothing is to be written.
        if is_ours {
            let lease = (self.taken.seq, self.taken.token);
            consumer.sheet.end(topic.forget([lease], &consumer.topics));
        }
        consumer.release(1);
        if !is_ours {
            return Err(SettleError::Stale);
        }
        topic.wake.bump();
        Ok(())
    }
}

impl Drop for SqliteDelivery {
    fn drop(&mut self) {
        if !self.is_settled {
            let lease_end = self.consumer.lease_end();
            self.consumer.topic.abandon(self.taken.seq, self.taken.token, lease_end);
            self.consumer.release(1);
        }
    }
}

impl fmt::Debug for SqliteDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteDelivery")
            .field("topic", &self.taken.raw.topic)
            .field("attempt", &self.taken.attempt)
            .finish_non_exhaustive()
    }
}
