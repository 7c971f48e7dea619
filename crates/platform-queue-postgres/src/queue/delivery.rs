//! One task in a worker's hands.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::RawTask;
use aftercommit_domain::failure::Failure;
use aftercommit_domain::tasks::{Delivery, LONGEST_DELAY, Outcome, SettleError};
use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::queue::Inner;
use crate::queue::pump::Taken;
use crate::queue::settlement::{Lease, SettleJob, Settlement};

/// One task, taken from its topic.
pub(crate) struct PostgresDelivery {
    inner: Arc<Inner>,
    raw: RawTask,
    attempt: u32,
    redelivered: bool,
    must_run_alone: bool,
    /// `None` once it is being settled.
    lease: Option<Lease>,
}

impl PostgresDelivery {
    pub(crate) fn new(inner: &Arc<Inner>, taken: Taken) -> Self {
        Self {
            inner: Arc::clone(inner),
            raw: taken.raw,
            attempt: taken.attempt,
            redelivered: taken.redelivered,
            must_run_alone: taken.must_run_alone,
            lease: Some(taken.lease),
        }
    }

    async fn settle(mut self: Box<Self>, settlement: Settlement) -> Result<(), SettleError> {
        let Some(lease) = self.lease.take() else {
            return Err(closed());
        };
        self.inner.settle(lease, settlement).await
    }
}

impl Inner {
    /// From the moment a lane has it, it is written even when nobody waits for the answer.
    async fn settle(&self, lease: Lease, settlement: Settlement) -> Result<(), SettleError> {
        let (reply, answer) = oneshot::channel();
        // When the call is dropped while it waits for its turn, the task comes again when its lease is over.
        let mut handing_over = HandingOver {
            inner: self,
            lease: Some(lease),
        };
        let turn = self.settles.reserve().await;
        let (Ok(turn), Some(lease)) = (turn, handing_over.lease.take()) else {
            return Err(closed());
        };
        turn.send(SettleJob {
            lease,
            settlement,
            reply,
        });
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Notes that a task runs with nothing beside it under this lease.
    async fn note_alone(&self, seq: i64, token: i64) -> Result<(), SettleError> {
        let noted = self
            .engine
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query(
                        "UPDATE aftercommit.tasks SET alone_token = lease_token \
                         WHERE seq = $1 AND lease_token = $2 AND state = 1",
                    )
                    .bind(seq)
                    .bind(token)
                    .execute(connection)
                    .await
                })
            })
            .await;
        match noted {
            Ok(done) if done.rows_affected() == 0 => Err(SettleError::Stale),
            Ok(_) => Ok(()),
            Err(trouble) => Err(SettleError::Unavailable {
                reason: trouble.to_string(),
            }),
        }
    }

    /// Sets a task aside under its lease.
    async fn set_aside(&self, lease: Lease) -> Result<(), SettleError> {
        let (seq, token) = (lease.seq, lease.token);
        // Whatever becomes of the call, the task comes again when its lease is over.
        let mut setting_aside = HandingOver {
            inner: self,
            lease: Some(lease),
        };
        let done = self
            .engine
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query(
                        "UPDATE aftercommit.tasks SET state = 3, consumer = NULL \
                         WHERE seq = $1 AND lease_token = $2 AND consumer IS NOT NULL",
                    )
                    .bind(seq)
                    .bind(token)
                    .execute(connection)
                    .await
                })
            })
            .await
            .map_err(|trouble| SettleError::Unavailable {
                reason: trouble.to_string(),
            })?;
        drop(setting_aside.lease.take());
        if done.rows_affected() == 0 {
            return Err(SettleError::Stale);
        }
        Ok(())
    }

    /// Frees tasks that were taken and not handed out, as if they had not been taken.
    pub(crate) async fn give_back(&self, taken: Vec<Taken>) {
        let mut answers = Vec::with_capacity(taken.len());
        for taken in taken {
            let (reply, answer) = oneshot::channel();
            let job = SettleJob {
                lease: taken.lease,
                settlement: Settlement::Free,
                reply,
            };
            // Once it is closed, their lease runs out.
            if self.settles.send(job).await.is_ok() {
                answers.push(answer);
            }
        }
        for answer in answers {
            // Whatever became of it, its lease runs out.
            let _ = answer.await;
        }
    }
}

/// A lease on its way to a lane.
struct HandingOver<'i> {
    inner: &'i Inner,
    lease: Option<Lease>,
}

impl Drop for HandingOver<'_> {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.inner
                .leases
                .let_go(lease.place.consumer(), lease.seq, lease.token, false);
        }
    }
}

fn closed() -> SettleError {
    SettleError::Unavailable {
        reason: "the queue is closed".into(),
    }
}

#[async_trait]
impl Delivery for PostgresDelivery {
    fn task(&self) -> &RawTask {
        &self.raw
    }

    fn attempt(&self) -> u32 {
        self.attempt
    }

    fn redelivered(&self) -> bool {
        self.redelivered
    }

    fn is_held(&self) -> bool {
        self.lease
            .as_ref()
            .is_some_and(|lease| lease.place.consumer().has_lease())
    }

    fn must_run_alone(&self) -> bool {
        self.must_run_alone
    }

    async fn begin_alone(&self) -> Result<(), SettleError> {
        let Some(Lease { seq, token, .. }) = &self.lease else {
            return Err(closed());
        };
        self.inner.note_alone(*seq, *token).await
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
            wait: wait.min(LONGEST_DELAY),
            counted,
            failure: failure.cloned(),
        };
        self.settle(settlement).await
    }

    async fn dead_letter(self: Box<Self>, failure: &Failure) -> Result<(), SettleError> {
        let failure = failure.clone();
        self.settle(Settlement::Dead { failure }).await
    }

    async fn give_back(self: Box<Self>) -> Result<(), SettleError> {
        self.settle(Settlement::Free).await
    }

    async fn set_aside(mut self: Box<Self>) -> Result<(), SettleError> {
        let Some(lease) = self.lease.take() else {
            return Err(closed());
        };
        self.inner.set_aside(lease).await
    }
}

impl Drop for PostgresDelivery {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.inner
                .leases
                .let_go(lease.place.consumer(), lease.seq, lease.token, true);
        }
    }
}

impl fmt::Debug for PostgresDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresDelivery")
            .field("topic", &self.raw.topic)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}
