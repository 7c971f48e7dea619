//! The shorter way, where outbox and queue share a database.

use aftercommit_domain::contract::{AggregateRef, Limits, TaskEnvelope, Tenant};
use aftercommit_domain::events::{Claim, OutboxError, OutboxTransfer, dispatch_envelope};
use aftercommit_domain::failure::{Classified as _, ErrorClass, Failure};
use aftercommit_domain::tasks::PublishError;
use tokio::time::{Instant, timeout};

use crate::relay::Relay;
use crate::relay::batch::{Batch, Origin, Relayed, untouched};

/// What came of the shorter way.
pub(super) enum Transferred {
    /// It is done; what is left is to be given back.
    Done(Relayed),
    /// One of its rows was refused, or another transaction was in the way: the longer way tells which.
    Refused(Batch),
}

impl Relay {
    /// Publishes a batch and takes it out of the outbox in one transaction.
    ///
    /// # Errors
    /// The database is away: nothing was done, or everything. What was done is stale when it is given back.
    pub(super) async fn transfer(&self, transfer: &dyn OutboxTransfer, batch: Batch) -> Result<Transferred, Failure> {
        // What becomes of a task that is coalesced is for the queue to decide.
        if batch.tasks.iter().any(|task| task.coalescing.is_some()) {
            return Ok(Transferred::Refused(batch));
        }
        let Rows { ready, failed, behind } = self.rows(&batch);
        let releases = || {
            let failed = failed.iter().chain(&batch.unreadable);
            let failed = failed.map(|(claim, origin, failure)| (*claim, self.release(failure.clone(), origin)));
            failed.chain(untouched(behind.iter().copied())).collect::<Vec<_>>()
        };
        let done = |releases| {
            Ok(Transferred::Done(Relayed {
                releases,
                ..Relayed::default()
            }))
        };
        if ready.is_empty() {
            return done(releases());
        }
        let claims: Vec<Claim> = ready.iter().map(|(claim, _)| *claim).collect();
        let started = Instant::now();
        let answer = timeout(self.options.publish_deadline, transfer.transfer(ready)).await;
        let answer = answer.unwrap_or_else(|_| {
            Err(OutboxError::Unavailable {
                operation: "transfer",
                reason: "no answer within the deadline".into(),
            })
        });
        match answer {
            Ok(marked) => {
                failpoint!(RELAY_AFTER_TRANSFER?);
                self.metrics.publish_seconds.record(started.elapsed().as_secs_f64());
                self.metrics.published.increment(marked.changed);
                done(releases())
            }
            // What is not another's is to be claimed again.
            Err(OutboxError::Stale { .. }) => done(releases().into_iter().chain(untouched(claims)).collect()),
            Err(error) => match error.class() {
                ErrorClass::Permanent | ErrorClass::Retryable => {
                    tracing::debug!(%error, "the rows of a batch are published and marked one after the other");
                    Ok(Transferred::Refused(batch))
                }
                ErrorClass::Outage | ErrorClass::RateLimited => {
                    // What is still claimed need not wait for the end of its lease.
                    let releases = releases().into_iter().chain(untouched(claims)).collect();
                    if let Err(failure) = self.write_back(&[], releases).await {
                        tracing::debug!(error = %failure, "claimed rows wait for the end of their lease");
                    }
                    Err(Failure::of(&error))
                }
            },
        }
    }

    /// The task that each row becomes. What follows an event that becomes none waits with it.
    fn rows(&self, batch: &Batch) -> Rows {
        let limits: &Limits = self.codec.limits();
        let mut rows = Rows::default();
        let mut stopped: Vec<(&Tenant, &AggregateRef)> = Vec::new();
        for (event, (claim, origin)) in batch.events.iter().zip(&batch.event_claims) {
            if stopped.contains(&(&event.tenant, &event.aggregate)) {
                rows.behind.push(*claim);
                continue;
            }
            match dispatch_envelope(event, limits) {
                Ok(task) => rows.ready.push((*claim, task)),
                Err(error) => {
                    stopped.push((&event.tenant, &event.aggregate));
                    let failure = Failure::of(&PublishError::from_encode(error));
                    rows.failed.push((*claim, origin.clone(), failure));
                }
            }
        }
        let tasks = batch.tasks.iter().zip(&batch.task_claims);
        rows.ready
            .extend(tasks.map(|(task, (claim, _))| (*claim, task.clone())));
        rows
    }
}

/// The rows of a batch, as the shorter way takes them.
#[derive(Default)]
struct Rows {
    ready: Vec<(Claim, TaskEnvelope)>,
    /// How often they were tried before, and why they become no task.
    failed: Vec<(Claim, Origin, Failure)>,
    behind: Vec<Claim>,
}
