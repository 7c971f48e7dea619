//! The relay: claim a batch, publish it confirmed, mark it. Three steps, no transaction open in between; where outbox and
//! queue share a database, the last two may be one transaction.

mod batch;
mod metrics;
mod options;
mod ports;
mod transferring;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aftercommit_domain::contract::Codec;
use aftercommit_domain::events::{
    Claim, Claimed, EventCatalogue, EventsPublisher, Marked, Outbox, OutboxTransfer, Release, release_after,
};
use aftercommit_domain::failure::{ErrorClass, Failure};
use aftercommit_domain::randomness::Randomness;
use aftercommit_domain::tasks::{PublishError, QueuePublisher};
use aftercommit_domain::time::Clock;
use futures::future::join;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::health::LoopHealth;
use crate::lifecycle::Round;
use crate::relay::batch::{Batch, Origin, Relayed, Taken, untouched};
use crate::relay::metrics::RelayMetrics;
use crate::relay::transferring::Transferred;

pub use crate::relay::options::RelayOptions;
pub use crate::relay::ports::RelayPorts;

/// Takes committed messages from the outbox to their topics.
pub struct Relay {
    outbox: Arc<dyn Outbox>,
    events: Arc<dyn EventsPublisher>,
    queue: Arc<dyn QueuePublisher>,
    transfer: Option<Arc<dyn OutboxTransfer>>,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
    catalogue: EventCatalogue,
    codec: Codec,
    options: RelayOptions,
    metrics: RelayMetrics,
    /// Whether the last wait ended as soon as it began.
    woken_at_once: AtomicBool,
}

/// A wait that ended at once and for nothing is followed by a rest of this length.
const BREATH: Duration = Duration::from_millis(10);

/// How many full batches follow each other before a round tells that it works.
const MOST_BATCHES: usize = 64;

impl Relay {
    /// A relay over these ports.
    pub fn new(ports: RelayPorts, options: RelayOptions) -> Self {
        let RelayPorts {
            outbox,
            events,
            queue,
            transfer,
            clock,
            randomness,
            catalogue,
            codec,
        } = ports;
        let options = RelayOptions {
            // With a batch of nothing, or no time left to publish within the lease, it would turn without an end.
            batch_size: options.batch_size.max(1),
            publish_deadline: options.publish_deadline.min(options.lease / 2),
            ..options
        };
        Self {
            outbox,
            events,
            queue,
            transfer,
            clock,
            randomness,
            catalogue,
            codec,
            options,
            metrics: RelayMetrics::new(),
            woken_at_once: AtomicBool::new(false),
        }
    }

    /// One round: relays a batch, or waits until there may be one or `stop` is cancelled. Tells `health` that it works
    /// before it waits.
    ///
    /// # Errors
    /// The store or the queue is away. Nothing is lost: what was not marked is relayed again under the same ids.
    pub async fn round(&self, health: &LoopHealth, stop: &CancellationToken) -> Result<Round, Failure> {
        if self.relay_batches(MOST_BATCHES, stop).await? > 0 {
            self.woken_at_once.store(false, Ordering::Relaxed);
            return Ok(Round::Again);
        }
        health.succeeded();
        let waiting = async {
            if self.woken_at_once.load(Ordering::Relaxed) {
                // An outbox may wake for nothing, but must not keep the relay turning.
                sleep(BREATH).await;
            }
            // Relays that started together do not look together for ever.
            let idle = self.options.idle_poll.mul_f64(0.5 + self.randomness.unit() / 2.0);
            let started = Instant::now();
            self.outbox.wait(idle).await;
            self.woken_at_once.store(started.elapsed() < BREATH, Ordering::Relaxed);
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = waiting => {}
        }
        Ok(Round::Again)
    }

    /// Relays one batch. Answers how many rows were claimed.
    ///
    /// # Errors
    /// The store is away, or the queue took nothing of the batch because it is away: claiming on would only turn the
    /// backlog over and over.
    pub async fn relay_batch(&self) -> Result<usize, Failure> {
        self.relay_batches(1, &CancellationToken::new()).await
    }

    /// Relays up to `most` batches while they come full. Once one was taken, the next is claimed while one is on its way:
    /// the store works on both at once. Answers how many rows were claimed.
    async fn relay_batches(&self, most: usize, stop: &CancellationToken) -> Result<usize, Failure> {
        let mut count = 0;
        let mut taken = self.claim().await?;
        for turn in 1.. {
            count += taken.rows.len();
            let is_last = taken.rows.len() < self.options.batch_size || turn >= most || stop.is_cancelled();
            if is_last || turn == 1 {
                self.relay_taken(taken).await?;
                if is_last || stop.is_cancelled() {
                    break;
                }
                taken = self.claim().await?;
                continue;
            }
            let (relayed, next) = join(self.relay_taken(taken), self.claim()).await;
            match (relayed, next) {
                (Ok(()), Ok(next)) if !stop.is_cancelled() => taken = next,
                (relayed, next) => {
                    if let Ok(next) = &next {
                        self.give_back(next).await;
                    }
                    relayed?;
                    next?;
                    break;
                }
            }
        }
        Ok(count)
    }

    async fn claim(&self) -> Result<Taken, Failure> {
        // Taken before the claim's round trip, so that the lease is never trusted for longer than the store grants it.
        let trusted_until = Instant::now() + self.options.lease.saturating_sub(self.options.publish_deadline);
        let rows = self
            .outbox
            .claim(self.options.batch_size, self.options.lease)
            .await
            .map_err(|error| Failure::of(&error))?;
        if !rows.is_empty() {
            failpoint!(RELAY_AFTER_CLAIM?);
        }
        Ok(Taken { rows, trusted_until })
    }

    async fn relay_taken(&self, taken: Taken) -> Result<(), Failure> {
        if taken.rows.is_empty() {
            return Ok(());
        }
        let claims = taken.claims();
        let Taken { rows, trusted_until } = taken;
        // Past it, this process was stopped for so long that another relay may have the rows by now.
        let is_trusted = || Instant::now() < trusted_until;
        let relayed = if is_trusted() {
            self.relay_trusted(self.sorted(rows), is_trusted).await?
        } else {
            None
        };
        let relayed = relayed.unwrap_or_else(|| Relayed {
            releases: untouched(claims).collect(),
            ..Relayed::default()
        });
        if !relayed.published.is_empty() {
            failpoint!(RELAY_AFTER_PUBLISH?);
        }
        self.write_back(&relayed.published, relayed.releases).await?;
        match relayed.why_put_off {
            Some(failure) if relayed.published.is_empty() && failure.class == ErrorClass::Outage => Err(failure),
            Some(failure) => {
                tracing::warn!(rows = relayed.put_off, code = %failure.code, error = %failure, "outbox rows were not published and will be tried again");
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Relays by the shorter way, or by the longer one where there is no other or it was refused. `None`: it is too late
    /// for that.
    async fn relay_trusted(
        &self,
        batch: Batch,
        is_trusted: impl Fn() -> bool + Send,
    ) -> Result<Option<Relayed>, Failure> {
        let batch = match &self.transfer {
            Some(transfer) => match self.transfer(&**transfer, batch).await? {
                Transferred::Done(relayed) => return Ok(Some(relayed)),
                Transferred::Refused(batch) => batch,
            },
            None => batch,
        };
        if !is_trusted() {
            return Ok(None);
        }
        Ok(Some(self.publish(batch).await))
    }

    /// Gives rows back that nothing was done with. When that fails too, their lease frees them.
    async fn give_back(&self, taken: &Taken) {
        if let Err(failure) = self.write_back(&[], untouched(taken.claims()).collect()).await {
            tracing::debug!(error = %failure, "claimed rows wait for the end of their lease");
        }
    }

    fn sorted(&self, claimed: Vec<Claimed>) -> Batch {
        let now = self.clock.now();
        for row in &claimed {
            let lag = now.signed_duration_since(row.written_at).to_std().unwrap_or_default();
            self.metrics.lag.record(lag.as_secs_f64());
        }
        Batch::of(claimed, &self.catalogue, &self.codec)
    }

    async fn publish(&self, batch: Batch) -> Relayed {
        let Batch {
            events,
            event_claims,
            tasks,
            task_claims,
            unreadable,
        } = batch;
        let (event_count, task_count) = (events.len(), tasks.len());
        let mut relayed = Relayed {
            published: Vec::with_capacity(event_count + task_count),
            ..Relayed::default()
        };
        for (claim, origin, failure) in unreadable {
            relayed.releases.push((claim, self.release(failure, &origin)));
        }
        if event_count + task_count == 0 {
            return relayed;
        }
        let started = Instant::now();
        let (event_results, task_results) = join(
            self.within_deadline(event_count, async { self.events.publish(events).await }),
            self.within_deadline(task_count, async {
                self.queue
                    .publish(tasks)
                    .await
                    .into_iter()
                    .map(|result| result.map(|_| ()))
                    .collect()
            }),
        )
        .await;
        self.metrics.publish_seconds.record(started.elapsed().as_secs_f64());
        let claims = event_claims.into_iter().chain(task_claims);
        for ((claim, origin), result) in claims.zip(event_results.into_iter().chain(task_results)) {
            let error = match result {
                Ok(()) => {
                    relayed.published.push(claim);
                    continue;
                }
                // It was not tried: what came before it in its order was not published, and the outbox holds it back.
                Err(PublishError::Blocked) => {
                    relayed.releases.push((claim, Release::Untouched));
                    continue;
                }
                Err(error) => error,
            };
            let release = self.release(Failure::of(&error), &origin);
            if let Release::Retry {
                counted: false,
                failure,
                ..
            } = &release
            {
                relayed.put_off += 1;
                relayed.why_put_off = Some(failure.clone());
            }
            relayed.releases.push((claim, release));
        }
        relayed
    }

    /// Exactly `count` results: a publisher that hangs or answers too few leaves the rest unknown.
    async fn within_deadline(
        &self,
        count: usize,
        publish: impl Future<Output = Vec<Result<(), PublishError>>>,
    ) -> Vec<Result<(), PublishError>> {
        if count == 0 {
            return Vec::new();
        }
        let mut results = timeout(self.options.publish_deadline, publish)
            .await
            .unwrap_or_default();
        results.resize_with(count, || {
            Err(PublishError::Unknown {
                reason: "no answer within the deadline".into(),
            })
        });
        results
    }

    fn release(&self, failure: Failure, origin: &Origin) -> Release {
        let attempts = origin.attempts;
        let release = release_after(failure, attempts, &self.options.policy, self.randomness.unit());
        origin.span().in_scope(|| match &release {
            Release::Retry {
                after,
                counted: true,
                failure,
            } => {
                self.metrics.failed.increment(1);
                let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                tracing::warn!(code = %failure.code, error = %failure, attempts, after_ms, "an outbox row was not published");
            }
            // An outage befalls every row at once and is told once for all of them.
            Release::Retry { counted: false, .. } => self.metrics.failed.increment(1),
            Release::Quarantine { failure } => {
                self.metrics.quarantined.increment(1);
                tracing::error!(code = %failure.code, error = %failure, attempts, "an outbox row is quarantined");
            }
            Release::Untouched => {}
        });
        release
    }

    /// Writes back what became of the rows: one part also when the other fails, so that no row waits for its lease
    /// because of another.
    async fn write_back(&self, published: &[Claim], releases: Vec<(Claim, Release)>) -> Result<(), Failure> {
        let marked = if published.is_empty() {
            Ok(Marked::default())
        } else {
            failpoint!(RELAY_BEFORE_MARK?);
            let marked = self.outbox.mark_published(published).await;
            if marked.is_ok() {
                failpoint!(RELAY_AFTER_MARK?);
            }
            marked
        };
        let given_back = if releases.is_empty() {
            Ok(Marked::default())
        } else {
            let given_back = self.outbox.release(releases).await;
            if given_back.is_ok() {
                failpoint!(RELAY_AFTER_RELEASE?);
            }
            given_back
        };
        let mut stale = 0;
        for written in [&marked, &given_back].into_iter().flatten() {
            stale += written.stale;
        }
        if let Ok(marked) = &marked {
            self.metrics.published.increment(marked.changed);
        }
        if stale > 0 {
            self.metrics.stale.increment(stale);
            tracing::info!(
                rows = stale,
                "another relay had taken these rows over; nothing was changed"
            );
        }
        marked
            .and(given_back)
            .map_or_else(|error| Err(Failure::of(&error)), |_| Ok(()))
    }
}
