//! The workloads.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aftercommit::domain::contract::TaskEnvelope;
use aftercommit::prelude::*;
use serde_json::json;
use tokio::task::JoinSet;

use crate::Options;
use crate::commits::Orders;
use crate::contracts::{BenchHappened, Noop, tenant};
use crate::measured::Settled;
use crate::report::{fsync_p50_ms, per_second, percentile_ms, resident_mib};
use crate::rig::{BoxError, HANDLERS, Rig};

/// Producers at once, as for the peers.
const PRODUCERS: usize = 16;
/// Tasks put into the queue at once before a drain.
const FILL: usize = 1000;
/// Time between two messages of the latency workload: 20 a second.
const PACE: Duration = Duration::from_millis(50);

struct Idle;

#[async_trait]
impl TaskHandler<Noop> for Idle {
    async fn handle(&self, _task: Noop, _ctx: &TaskContext) -> TaskResult {
        completed()
    }
}

fn topic() -> Topic {
    Topic::named("bench").handle::<Noop>(Idle)
}

/// N waiting tasks, one worker.
pub(crate) async fn drain(options: Options) -> Result<String, BoxError> {
    let rig = Rig::open(&options).await?;
    fill(&rig, options.n).await?;
    let settled = Settled::new(Noop::TOPIC, options.n);
    let started = Instant::now();
    let engine = rig.start(topic(), &settled)?;
    settled.all().await;
    let elapsed = started.elapsed();
    let line = json!({
        "system": "aftercommit", "workload": "drain", "provider": options.provider.name(), "n": options.n, "handlers": HANDLERS,
        "drain_per_s": per_second(options.n, elapsed), "rss_mib": resident_mib()?, "rows_left": rig.rows_left().await?,
        "synchronous": rig.synchronous(), "fsync_p50_ms": fsync_p50_ms(rig.disk())?,
    });
    engine.stop().await;
    rig.close().await;
    Ok(line.to_string())
}

async fn fill(rig: &Rig, n: usize) -> Result<(), BoxError> {
    let (queue, envelopes) = (rig.kit.queue_publisher(), rig.kit.envelopes());
    let numbers: Vec<u64> = (0..n as u64).collect();
    for chunk in numbers.chunks(FILL) {
        let batch: Vec<TaskEnvelope> = chunk
            .iter()
            .map(|number| {
                envelopes.task(
                    envelopes.new_id(),
                    &Noop::number(*number),
                    &TaskOptions::default(),
                    &Cause::root(),
                )
            })
            .collect::<Result<_, _>>()?;
        for result in queue.publish(batch).await {
            result?;
        }
    }
    Ok(())
}

/// 16 producers, each task its own durable write.
pub(crate) async fn enqueue(options: Options) -> Result<String, BoxError> {
    let rig = Rig::open(&options).await?;
    let started = Instant::now();
    let mut producers = JoinSet::new();
    for producer in 0..PRODUCERS {
        let (queue, envelopes) = (rig.kit.queue_publisher(), rig.kit.envelopes().clone());
        let numbers = (producer..options.n).step_by(PRODUCERS);
        producers.spawn(async move {
            for number in numbers {
                queue
                    .publish_task(
                        &envelopes,
                        Noop::number(number as u64),
                        TaskOptions::default(),
                        &Cause::root(),
                    )
                    .await?;
            }
            Ok::<(), BoxError>(())
        });
    }
    while let Some(result) = producers.join_next().await {
        result??;
    }
    let elapsed = started.elapsed();
    let line = json!({
        "system": "aftercommit", "workload": "enqueue", "provider": options.provider.name(), "n": options.n, "producers": PRODUCERS,
        "enqueue_per_s": per_second(options.n, elapsed), "rows": rig.rows_left().await?,
        "synchronous": rig.synchronous(), "fsync_p50_ms": fsync_p50_ms(rig.disk())?,
    });
    rig.close().await;
    Ok(line.to_string())
}

/// 16 producers commit events, each becomes one task. On PostgreSQL each commits a business row as well.
pub(crate) async fn rail(options: Options) -> Result<String, BoxError> {
    let rig = Rig::open(&options).await?;
    let orders = Orders::prepare(&rig, &options).await?;
    let settled = Settled::new(Noop::TOPIC, options.n);
    let sent = Sent::new(options.n);
    let timed = Timed {
        sent: Arc::clone(&sent),
    };
    let engine = rig.start(Topic::named("bench").handle::<Noop>(timed), &settled)?;
    let aggregates = options.aggregates;
    let started = Instant::now();
    let mut producers = JoinSet::new();
    for producer in 0..PRODUCERS {
        let (kit, orders, sent) = (rig.kit.clone(), orders.clone(), Arc::clone(&sent));
        let numbers = (producer..options.n).step_by(PRODUCERS);
        producers.spawn(async move {
            for number in numbers {
                let number_of = number as u64;
                let aggregate = number_of.checked_rem(aggregates).unwrap_or(number_of);
                let event = BenchHappened::number(aggregate, number_of);
                sent.sent(number);
                if let Some(orders) = &orders {
                    orders.commit(&kit, event).await?;
                } else {
                    let mut unit = kit.begin(&tenant(), &Cause::root()).await?;
                    unit.outbox().write(event).await?;
                    unit.commit().await?;
                }
                sent.sent(number);
            }
            Ok::<(), BoxError>(())
        });
    }
    while let Some(result) = producers.join_next().await {
        result??;
    }
    let committed = started.elapsed();
    settled.all().await;
    let elapsed = started.elapsed();
    let mut waits = sent.take();
    let line = json!({
        "system": "aftercommit", "workload": "rail", "provider": options.provider.name(), "n": options.n, "producers": PRODUCERS,
        "aggregates": aggregates, "rail_per_s": per_second(options.n, elapsed), "commit_per_s": per_second(options.n, committed),
        "p50_ms": percentile_ms(&mut waits, 0.5), "p99_ms": percentile_ms(&mut waits, 0.99), "rss_mib": resident_mib()?,
        "rows_left": rig.rows_left().await?,
        "synchronous": rig.synchronous(), "fsync_p50_ms": fsync_p50_ms(rig.disk())?,
    });
    engine.stop().await;
    rig.close().await;
    Ok(line.to_string())
}

/// Notes when its tasks start.
struct Timed {
    sent: Arc<Sent>,
}

/// When each message was sent, and how long its handler took to start.
struct Sent {
    at: Mutex<Vec<Instant>>,
    waits: Mutex<Vec<Duration>>,
}

impl Sent {
    fn new(n: usize) -> Arc<Self> {
        Arc::new(Self {
            at: Mutex::new(vec![Instant::now(); n]),
            waits: Mutex::default(),
        })
    }

    fn sent(&self, number: usize) {
        if let Some(at) = self.at.lock().unwrap_or_else(PoisonError::into_inner).get_mut(number) {
            *at = Instant::now();
        }
    }

    fn started(&self, number: u64) {
        let now = Instant::now();
        let at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = usize::try_from(number).ok().and_then(|number| at.get(number).copied());
        if let Some(sent) = sent {
            self.waits
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(now.duration_since(sent));
        }
    }

    fn take(&self) -> Vec<Duration> {
        std::mem::take(&mut *self.waits.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl TaskHandler<Noop> for Timed {
    async fn handle(&self, task: Noop, _ctx: &TaskContext) -> TaskResult {
        self.sent.started(task.number);
        completed()
    }
}

/// At 20 a second into an idle engine.
pub(crate) async fn latency(options: Options) -> Result<String, BoxError> {
    let n = options.n.min(1000);
    let rig = Rig::open(&options).await?;
    let settled = Settled::new(Noop::TOPIC, 2 * n);
    let sent = Sent::new(n);
    let engine = rig.start(
        Topic::named("bench").handle::<Noop>(Timed {
            sent: Arc::clone(&sent),
        }),
        &settled,
    )?;

    let mut pace = tokio::time::interval(PACE);
    for number in 0..n {
        pace.tick().await;
        let mut unit = rig.kit.begin(&tenant(), &Cause::root()).await?;
        unit.outbox().write(BenchHappened::number(0, number as u64)).await?;
        // Once before, so that a handler that is quicker than the answer still has a time to compare with.
        sent.sent(number);
        unit.commit().await?;
        sent.sent(number);
    }
    // The last event's task, before the direct ones are measured.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut events = sent.take();

    let (queue, envelopes) = (rig.kit.queue_publisher(), rig.kit.envelopes());
    for number in 0..n {
        pace.tick().await;
        sent.sent(number);
        queue
            .publish_task(
                envelopes,
                Noop::number(number as u64),
                TaskOptions::default(),
                &Cause::root(),
            )
            .await?;
    }
    settled.all().await;
    let mut direct = sent.take();
    let line = json!({
        "system": "aftercommit", "workload": "latency", "provider": options.provider.name(), "n": n,
        "p50_ms": percentile_ms(&mut direct, 0.5), "p99_ms": percentile_ms(&mut direct, 0.99),
        "event_p50_ms": percentile_ms(&mut events, 0.5), "event_p99_ms": percentile_ms(&mut events, 0.99),
        "measured": { "direct": "write of the task to handler start", "event": "answer of the commit to handler start" },
        "rows_left": rig.rows_left().await?,
        "synchronous": rig.synchronous(), "fsync_p50_ms": fsync_p50_ms(rig.disk())?,
    });
    engine.stop().await;
    rig.close().await;
    Ok(line.to_string())
}
