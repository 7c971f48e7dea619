//! A step that fails at any of its points, with what is before it done, leaves nothing lost, doubled or stuck.
//!
//! Whole processes die at the same points in `tests/e2e/tests/crash_points.rs`.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aftercommit_domain::bulk::{BulkRequest, Rate};
use aftercommit_domain::catalogue;
use aftercommit_domain::contract::{Cause, Codec, EnvelopeFactory, Limits, OrganizationId, ProjectId, Tenant};
use aftercommit_domain::events::{
    DomainEvent, EventFilter, EventLog, EventsPublisherExt, OutboxWriterExt, Routes, create_events_publisher, publish,
};
use aftercommit_domain::failure::{ErrorClass, Failure};
use aftercommit_domain::tasks::{
    DeadLetterFilter, DeadLetters, PublishError, Stop, Task, TaskContext, TaskHandler, TaskOptions, TaskResult,
    completed,
};
use aftercommit_domain::time::{Clock, Timestamp, after, seconds, to_micros};
use aftercommit_domain::unit_of_work::UnitOfWorkFactory;
use aftercommit_runtime::bulk::{BulkPorts, BulkRunner};
use aftercommit_runtime::failpoints::{Failpoint, POINTS, RELAY_AFTER_TRANSFER, arm, try_pass};
use aftercommit_runtime::lifecycle::{ShutdownGrace, StopOutcome};
use aftercommit_runtime::worker::Topic;
use aftercommit_runtime::{Engine, EngineOptions, EnginePorts, Health, RunningEngine};
use aftercommit_testkit::faults::Faulty;
use aftercommit_testkit::{InMemory, SeededIds, SeededRandomness, TestSealer};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout};

/// Of virtual time.
const PATIENCE: Duration = Duration::from_mins(30);

/// What an item's number says about its task.
const FAILS_ONCE: u32 = 3;
const FAILS_UNTIL_MENDED: u32 = 4;
const TOLD_DIRECTLY: u32 = 6;
const NEVER_ENDS_AT_FIRST: u32 = 7;
const NOT_TAKEN_AT_FIRST: u32 = 8;
const ITEMS: u32 = 8;

#[derive(Serialize, Deserialize, DomainEvent)]
#[event(name = "ItemSold", version = 1, aggregate = "item")]
struct ItemSold {
    organization_id: OrganizationId,
    project_id: ProjectId,
    #[aggregate_id]
    item: u32,
}

#[derive(Serialize, Deserialize, DomainEvent)]
#[event(name = "ItemLost", version = 1, aggregate = "item")]
struct ItemLost {
    organization_id: OrganizationId,
    project_id: ProjectId,
    #[aggregate_id]
    item: u32,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "ships", name = "ship", version = 1)]
struct Ship {
    organization_id: OrganizationId,
    project_id: ProjectId,
    item: u32,
}

/// What the queue never takes.
#[derive(Serialize, Deserialize, Task)]
#[task(topic = "nowhere", name = "find", version = 1)]
struct Find {
    organization_id: OrganizationId,
    project_id: ProjectId,
    item: u32,
}

/// As fast as the paused timers.
struct TimersClock(Instant);

impl Clock for TimersClock {
    fn now(&self) -> Timestamp {
        let start = after(Timestamp::UNIX_EPOCH, seconds(1_767_225_600));
        to_micros(after(start, self.0.elapsed()))
    }
}

/// A shop whose effects are rows of its units of work.
struct Shop {
    store: InMemory,
    is_mended: AtomicBool,
    has_hung: AtomicBool,
    shipped: Mutex<BTreeMap<u32, u32>>,
}

struct Shipping(Arc<Shop>);

#[async_trait]
impl TaskHandler<Ship> for Shipping {
    async fn handle(&self, task: Ship, ctx: &TaskContext) -> TaskResult {
        let shop = &self.0;
        let failed = |class| Stop::Failed {
            failure: Failure::new("planned", class, "the plan says so"),
            retry_after: None,
        };
        match task.item {
            FAILS_ONCE if ctx.attempt() == 1 => return Err(failed(ErrorClass::Retryable)),
            FAILS_UNTIL_MENDED if !shop.is_mended.load(Ordering::SeqCst) => {
                return Err(failed(ErrorClass::Permanent));
            }
            NEVER_ENDS_AT_FIRST if !shop.has_hung.swap(true, Ordering::SeqCst) => std::future::pending().await,
            _ => {}
        }
        let mut unit_of_work = shop.store.begin(ctx.tenant(), ctx.cause()).await?;
        ctx.claim(&mut *unit_of_work.inbox()).await?;
        unit_of_work.commit().await?;
        *shop.shipped.lock().unwrap().entry(task.item).or_default() += 1;
        completed()
    }
}

struct World {
    shop: Arc<Shop>,
    ports: EnginePorts,
    routes: Arc<Routes>,
}

impl World {
    fn new(is_transferring: bool) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(TimersClock(Instant::now()));
        let ids = Arc::new(SeededIds::new(1));
        let codec = Codec::new(Arc::new(TestSealer::new()), Limits::default());
        let envelopes = EnvelopeFactory::new(codec, ids.clone(), Arc::clone(&clock), "/test");
        let store = InMemory::new(Arc::clone(&clock), ids, envelopes.clone());
        let queue = Faulty::new(store.clone());
        let was_refused = AtomicBool::new(false);
        queue.refuse(move |task| match task.topic.as_str() {
            "nowhere" => Some(PublishError::Invalid {
                code: "test.nowhere",
                reason: "there is no such place".into(),
            }),
            _ if task
                .payload
                .as_str()
                .contains(&format!("\"item\":{NOT_TAKEN_AT_FIRST}"))
                && !was_refused.swap(true, Ordering::SeqCst) =>
            {
                Some(PublishError::Unavailable { reason: "later".into() })
            }
            _ => None,
        });
        let everything = || Arc::new(store.clone());
        let ports = EnginePorts {
            outbox: everything(),
            outbox_transfer: is_transferring.then(|| everything() as _),
            queue_publisher: Arc::new(queue),
            queue_consumer: everything(),
            queue_maintenance: everything(),
            event_log: everything(),
            event_feed: None,
            inbox: everything(),
            dead_letters: everything(),
            dead_letter_operations: everything(),
            cancellations: everything(),
            pauses: everything(),
            bulk_runs: everything(),
            schedules: everything(),
            envelopes,
            clock,
            randomness: Arc::new(SeededRandomness::new(1)),
        };
        let shop = Arc::new(Shop {
            store,
            is_mended: AtomicBool::default(),
            has_hung: AtomicBool::default(),
            shipped: Mutex::default(),
        });
        let routes = Arc::new(routes());
        Self { shop, ports, routes }
    }

    fn start(&self) -> RunningEngine {
        let topics = vec![Topic::named("ships").handle::<Ship>(Shipping(Arc::clone(&self.shop)))];
        let options = EngineOptions {
            grace: ShutdownGrace {
                finish: seconds(2),
                cancel: seconds(2),
                release: seconds(2),
            },
            ..EngineOptions::default()
        };
        let catalogue = catalogue![ItemSold, ItemLost];
        let engine = Engine::new(self.ports.clone(), options, &catalogue, routes(), topics).unwrap();
        engine.start(&Health::new(Arc::clone(&self.ports.clock)))
    }

    async fn trade(&self) {
        let (tenant, cause) = (Tenant::project(7, 8), Cause::root());
        let (organization_id, project_id) = (OrganizationId::from(7), ProjectId::from(8));
        for item in 1..=ITEMS {
            let sold = ItemSold {
                organization_id: organization_id.clone(),
                project_id: project_id.clone(),
                item,
            };
            if item == TOLD_DIRECTLY {
                let limits = *self.ports.envelopes.codec().limits();
                let publisher = create_events_publisher(Arc::clone(&self.ports.queue_publisher), limits);
                publisher
                    .publish_direct(&self.ports.envelopes, sold, &cause)
                    .await
                    .unwrap();
                continue;
            }
            let mut unit_of_work = self.shop.store.begin(&tenant, &cause).await.unwrap();
            if item == NOT_TAKEN_AT_FIRST {
                unit_of_work
                    .outbox()
                    .publish(ship(&sold), TaskOptions::default())
                    .await
                    .unwrap();
            } else {
                unit_of_work.outbox().write(sold).await.unwrap();
            }
            unit_of_work.commit().await.unwrap();
        }
        let lost = ItemLost {
            organization_id,
            project_id,
            item: 1,
        };
        let mut unit_of_work = self.shop.store.begin(&tenant, &cause).await.unwrap();
        unit_of_work.outbox().write(lost).await.unwrap();
        unit_of_work.commit().await.unwrap();
    }

    fn shipped(&self) -> BTreeMap<u32, u32> {
        self.shop.shipped.lock().unwrap().clone()
    }

    async fn dead(&self) -> Vec<String> {
        let letters = DeadLetters::list(&self.shop.store, &DeadLetterFilter::default())
            .await
            .unwrap();
        let mut topics: Vec<String> = letters.iter().map(|letter| letter.topic.to_string()).collect();
        topics.sort();
        topics
    }

    /// Replays what died on the topic with handlers.
    async fn replay(&self) {
        let runner = BulkRunner::new(BulkPorts {
            runs: Arc::clone(&self.ports.bulk_runs),
            dead_letters: Arc::clone(&self.ports.dead_letter_operations),
            event_log: Arc::clone(&self.ports.event_log),
            routes: Arc::clone(&self.routes),
            envelopes: self.ports.envelopes.clone(),
            queue: Arc::clone(&self.ports.queue_publisher),
        });
        let filter = DeadLetterFilter {
            topic: Some("ships".parse().unwrap()),
            ..DeadLetterFilter::default()
        };
        let request = BulkRequest::ReplayDeadLetters { filter };
        let begun = runner
            .begin(None, request, "test".into(), Rate::per_second(100))
            .await
            .unwrap();
        loop {
            let step = runner.step(begun.run.id).await.unwrap().unwrap();
            if !step.run.is_going() {
                return;
            }
            sleep(step.wait).await;
        }
    }
}

fn ship(sold: &ItemSold) -> Ship {
    Ship {
        organization_id: sold.organization_id.clone(),
        project_id: sold.project_id.clone(),
        item: sold.item,
    }
}

fn routes() -> Routes {
    Routes::new()
        .on(|sold: &ItemSold| publish(ship(sold)))
        .on(|lost: &ItemLost| {
            publish(Find {
                organization_id: lost.organization_id.clone(),
                project_id: lost.project_id.clone(),
                item: lost.item,
            })
        })
}

async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !is_so().await {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect(what);
}

/// An action that spends itself at the first passing.
fn armed(point: Failpoint) -> bool {
    let actions = ["error", "sleep(5000)"];
    actions
        .iter()
        .any(|action| arm(&format!("{}={action}", point.name), POINTS).is_ok())
}

/// Whether what was armed there has happened.
async fn has_happened(point: Failpoint) -> bool {
    matches!(timeout(Duration::from_millis(1), try_pass(point)).await, Ok(Ok(())))
}

#[tokio::test(start_paused = true)]
async fn a_step_that_fails_or_stalls_at_any_of_its_points_leaves_nothing_lost_doubled_or_stuck() {
    let mut only_in_adapters = Vec::new();
    for point in POINTS.iter().copied() {
        if !armed(point) {
            only_in_adapters.push(point.name);
            continue;
        }
        let name = point.name;
        let world = World::new(point == RELAY_AFTER_TRANSFER);
        let engine = world.start();
        world.trade().await;
        let all_but_two = async || {
            let left = [FAILS_UNTIL_MENDED, NEVER_ENDS_AT_FIRST];
            let shipped = (1..=ITEMS).filter(|item| !left.contains(item)).map(|item| (item, 1));
            world.shipped() == shipped.collect() && world.dead().await == ["nowhere", "ships"]
        };
        eventually(
            &format!("{name}: {:?}, dead {:?}", world.shipped(), world.dead().await),
            all_but_two,
        )
        .await;
        let outcome = engine.stop().await;
        assert_ne!(outcome, StopOutcome::Overrun, "{name}");

        world.shop.is_mended.store(true, Ordering::SeqCst);
        let engine = world.start();
        world.replay().await;
        let all = async || {
            let topics = ["ships".parse().unwrap(), "domain-events".parse().unwrap()].into();
            world.shipped() == (1..=ITEMS).map(|item| (item, 1)).collect() && world.shop.store.is_at_rest(&topics)
        };
        eventually(&format!("{name}: everything is shipped once"), all).await;
        assert_eq!(engine.stop().await, StopOutcome::Clean, "{name}");

        assert_eq!(world.dead().await, ["nowhere"], "{name}");
        assert_eq!(world.shop.store.unpublished(), [], "{name}");
        let events = EventLog::list(&world.shop.store, &EventFilter::default())
            .await
            .unwrap();
        // Every event that was told, and none twice.
        assert_eq!(events.len(), usize::try_from(ITEMS).unwrap(), "{name}");
        assert!(has_happened(point).await, "{name} was never reached");
    }
    assert_eq!(only_in_adapters, ["worker::before_commit", "worker::after_commit"]);
}
