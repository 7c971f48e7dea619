//! The relay alone: waiting events, and a publisher that only says yes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aftercommit::catalogue;
use aftercommit::domain::contract::TaskEnvelope;
use aftercommit::domain::events::{Claim, Claimed, Marked, Outbox, OutboxError, OutboxStats, QuarantinedRow, Release};
use aftercommit::domain::tasks::{PublishError, Published, QueueCapabilities};
use aftercommit::postgres::sqlx::{Connection as _, Executor as _, PgConnection, query};
use aftercommit::prelude::*;
use aftercommit::runtime::{Engine, EngineOptions, Health};
use serde_json::json;
use tokio::sync::Notify;

use crate::contracts::{self, BenchHappened, tenant};
use crate::report::{fsync_p50_ms, per_second};
use crate::rig::{BoxError, Rig};
use crate::{Options, Provider};

/// Events written by one transaction before the relay starts, and their aggregates.
const FILL: usize = 1000;
const AGGREGATES: u64 = 1000;

/// N waiting events, one relay.
pub(crate) async fn relay(options: Options) -> Result<String, BoxError> {
    let rig = Rig::open(&options).await?;
    let numbers: Vec<u64> = (0..options.n as u64).collect();
    for chunk in numbers.chunks(FILL) {
        let mut unit = rig.kit.begin(&tenant(), &Cause::root()).await?;
        for number in chunk {
            unit.outbox()
                .write(BenchHappened::number(number % AGGREGATES, *number))
                .await?;
        }
        unit.commit().await?;
    }
    let _pin = match (options.provider, options.pinned || options.logged > 0) {
        (Provider::Postgres, true) => Some(prepare_history(&rig, &options).await?),
        _ => None,
    };
    let mut ports = rig.kit.engine_ports();
    let marks = Arc::new(Marks {
        inner: ports.outbox,
        marked: AtomicU64::new(0),
        target: options.n as u64,
        done: Notify::new(),
    });
    ports.outbox = marks.clone();
    ports.queue_publisher = Arc::new(Agreeable);
    ports.outbox_transfer = None;
    let engine = Engine::new(
        ports,
        EngineOptions::default(),
        &catalogue![BenchHappened],
        contracts::routes(),
        Vec::new(),
    )?;
    let started = Instant::now();
    let engine = engine.start(&Health::new(rig.kit.clock()));
    marks.done.notified().await;
    let elapsed = started.elapsed();
    let left = marks.inner.stats().await?;
    let line = json!({
        "system": "aftercommit", "workload": "relay", "provider": options.provider.name(), "n": options.n,
        "relay_per_s": per_second(options.n, elapsed), "rows_left": left.waiting + left.claimed,
        "logged_before": options.logged, "pinned_horizon": options.pinned,
        "synchronous": rig.synchronous(), "fsync_p50_ms": fsync_p50_ms(rig.disk())?,
    });
    engine.stop().await;
    rig.close().await;
    Ok(line.to_string())
}

/// Events of the past, and a transaction that keeps the vacuum from removing anything.
async fn prepare_history(rig: &Rig, options: &Options) -> Result<PgConnection, BoxError> {
    let mut connection = PgConnection::connect(rig.database_url().ok_or("no database")?).await?;
    let logged = i64::try_from(options.logged)?;
    query(
        "INSERT INTO aftercommit.event_log (id, published_at, name, organization_id, project_id, occurred_at, sequence, body) \
         SELECT ('01900000-0000-7000-8000-' || lpad(to_hex(number), 12, '0'))::uuid, now(), 'BenchHappened', '1', '1', \
           now(), number, convert_to(repeat('x', 300), 'UTF8') \
         FROM generate_series(1, $1) AS number",
    )
    .bind(logged)
    .execute(&mut connection)
    .await?;
    // What is measured is a log that lies there, not the vacuum and the checkpoint after it was filled.
    connection.execute("VACUUM (ANALYZE) aftercommit.event_log").await?;
    connection.execute("VACUUM (ANALYZE) aftercommit.outbox").await?;
    if let Err(error) = connection.execute("CHECKPOINT").await {
        eprintln!("bench: no checkpoint before the measurement, it may fall into it: {error}");
    }
    if options.pinned {
        connection
            .execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM aftercommit.outbox")
            .await?;
    }
    Ok(connection)
}

/// An outbox whose durable marks are counted.
struct Marks {
    inner: Arc<dyn Outbox>,
    marked: AtomicU64,
    target: u64,
    done: Notify,
}

#[async_trait]
impl Outbox for Marks {
    async fn claim(&self, limit: usize, lease: Duration) -> Result<Vec<Claimed>, OutboxError> {
        self.inner.claim(limit, lease).await
    }

    async fn mark_published(&self, claims: &[Claim]) -> Result<Marked, OutboxError> {
        let marked = self.inner.mark_published(claims).await?;
        if self.marked.fetch_add(marked.changed, Ordering::SeqCst) + marked.changed >= self.target {
            self.done.notify_one();
        }
        Ok(marked)
    }

    async fn release(&self, claims: Vec<(Claim, Release)>) -> Result<Marked, OutboxError> {
        self.inner.release(claims).await
    }

    async fn rescue_expired(&self) -> Result<u64, OutboxError> {
        self.inner.rescue_expired().await
    }

    async fn wait(&self, idle: Duration) {
        self.inner.wait(idle).await;
    }

    async fn stats(&self) -> Result<OutboxStats, OutboxError> {
        self.inner.stats().await
    }

    async fn quarantined(&self, limit: u32) -> Result<Vec<QuarantinedRow>, OutboxError> {
        self.inner.quarantined(limit).await
    }
}

/// Takes everything and keeps nothing.
struct Agreeable;

#[async_trait]
impl QueuePublisher for Agreeable {
    async fn publish(&self, messages: Vec<TaskEnvelope>) -> Vec<Result<Published, PublishError>> {
        messages.iter().map(|task| Ok(Published::Enqueued(task.id))).collect()
    }

    fn capabilities(&self) -> QueueCapabilities {
        QueueCapabilities {
            durable_settle: true,
            deduplicates: true,
            holds_order_over_retries: true,
            keeps_order_keys_on_one_consumer: false,
            coalesces: false,
            shows_each_task: true,
            longest_delay: Duration::MAX,
        }
    }
}
