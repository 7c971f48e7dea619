//! A process: an engine with everything it has in memory, and its life among blows.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aftercommit_domain::contract::EnvelopeFactory;
use aftercommit_domain::events::RelayPolicy;
use aftercommit_domain::randomness::Randomness;
use aftercommit_domain::tasks::RetryPolicy;
use aftercommit_domain::time::{Clock, seconds};
use aftercommit_runtime::lifecycle::{ShutdownGrace, Spawner, StopOutcome};
use aftercommit_runtime::maintenance::RescuerOptions;
use aftercommit_runtime::relay::RelayOptions;
use aftercommit_runtime::worker::TopicOverrides;
use aftercommit_runtime::{Engine, EngineOptions, EnginePorts, Health, LoopReport, LoopStatus, RunningEngine};
use aftercommit_testkit::SeededRandomness;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::clock::MachineClock;
use crate::contracts::{events, routes};
use crate::dice::Dice;
use crate::handlers::{TIMEOUT, topics};
use crate::link::Link;
use crate::ports::Ports;
use crate::scenario::{Blow, Scenario};
use crate::threads::{ThreadSpawner, Threads};
use crate::world::World;

/// Counted attempts before a task is dead.
pub(crate) const MAX_ATTEMPTS: u32 = 8;

/// A process, from its start to its end.
pub(crate) struct Process {
    pub(crate) ports: Ports,
    pub(crate) threads: Arc<Threads>,
    clock: Arc<MachineClock>,
    health: Health,
    engine: Mutex<Option<RunningEngine>>,
}

impl Process {
    fn start(world: &Arc<World>, number: usize) -> Arc<Self> {
        let threads = Arc::new(Threads::default());
        let link = Arc::new(Link::new(Arc::clone(world), number, Arc::clone(&threads)));
        let ports = Ports {
            store: link.store.clone(),
            link,
        };
        let clock = Arc::new(MachineClock::new(world.started));
        let health = Health::new(Arc::<MachineClock>::clone(&clock));
        let engine = Engine::new(
            engine_ports(world, &ports, &clock),
            options(&world.scenario),
            &events(),
            routes(),
            topics(&ports),
        );
        let spawner = Arc::new(ThreadSpawner(Arc::clone(&threads)));
        let engine = match engine {
            Ok(engine) => Some(engine.start_on(&health, spawner)),
            Err(error) => {
                world.ledger.must_not(format!("it does not start: {error}"));
                None
            }
        };
        Arc::new(Self {
            ports,
            threads,
            clock,
            health,
            engine: Mutex::new(engine),
        })
    }

    /// Runs `request` in this process, as its HTTP server would.
    pub(crate) fn run(&self, request: impl Future<Output = ()> + Send + 'static) {
        ThreadSpawner(Arc::clone(&self.threads)).spawn(Box::pin(request));
    }

    /// Whether it goes on, and every loop of it does its work.
    pub(crate) fn is_well(&self) -> bool {
        let works = |report: &LoopReport| report.status == LoopStatus::Running;
        self.threads.are_running() && self.health.reports().iter().all(works)
    }

    async fn stop(&self) -> Option<StopOutcome> {
        let engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner).take();
        match engine {
            Some(engine) => Some(engine.stop().await),
            None => None,
        }
    }
}

fn engine_ports(world: &World, ports: &Ports, clock: &Arc<MachineClock>) -> EnginePorts {
    let clock: Arc<dyn Clock> = Arc::<MachineClock>::clone(clock);
    let randomness: Arc<dyn Randomness> = Arc::new(SeededRandomness::new(world.dice.draw()));
    let shared = || Arc::new(ports.clone());
    EnginePorts {
        outbox: shared(),
        outbox_transfer: world.scenario.transfers.then(|| shared() as _),
        queue_publisher: shared(),
        queue_consumer: shared(),
        queue_maintenance: shared(),
        event_log: shared(),
        event_feed: None,
        inbox: shared(),
        dead_letters: shared(),
        // Nobody orders anything here, and what is old is not forgotten within a run.
        dead_letter_operations: Arc::new(ports.store.clone()),
        cancellations: Arc::new(ports.store.clone()),
        pauses: Arc::new(ports.store.clone()),
        bulk_runs: Arc::new(ports.store.clone()),
        schedules: Arc::new(ports.store.clone()),
        envelopes: EnvelopeFactory::new(
            world.codec.clone(),
            Arc::clone(&world.ids),
            Arc::clone(&clock),
            "/world",
        ),
        clock,
        randomness,
    }
}

fn options(scenario: &Scenario) -> EngineOptions {
    let retries = TopicOverrides {
        max_attempts: Some(MAX_ATTEMPTS),
        base_delay: Some(Duration::from_millis(200)),
        max_delay: Some(seconds(4)),
        ..TopicOverrides::default()
    };
    let topics = ["records", "mails", "jobs", "notes"];
    EngineOptions {
        relay: RelayOptions {
            batch_size: scenario.batch_size,
            lease: Scenario::LEASE,
            idle_poll: seconds(2),
            publish_deadline: seconds(3),
            policy: RelayPolicy {
                retry: RetryPolicy {
                    base: Duration::from_millis(300),
                    max_delay: seconds(4),
                    ..RetryPolicy::default()
                },
            },
        },
        rescuer: RescuerOptions {
            every: seconds(6),
            ..RescuerOptions::default()
        },
        concurrency: scenario.concurrency,
        prefetch_factor: scenario.prefetch_factor,
        timeout: TIMEOUT,
        lease: Scenario::LEASE,
        topics: topics
            .into_iter()
            .filter_map(|topic| Some((topic.parse().ok()?, retries)))
            .collect(),
        grace: ShutdownGrace {
            finish: seconds(4),
            cancel: seconds(2),
            release: seconds(1),
        },
        ..EngineOptions::default()
    }
}

/// The life of process `number`: it is started again whenever it ended, until `end`.
pub(crate) async fn live(world: Arc<World>, number: usize, end: CancellationToken) {
    let dice = Dice::new(world.dice.draw());
    loop {
        let process = Process::start(&world, number);
        world.set_process(number, Some(Arc::clone(&process)));
        let is_over = among_blows(&world, number, &process, &dice, &end).await;
        world.set_process(number, None);
        process.threads.die();
        if is_over {
            return;
        }
        tokio::select! {
            biased;
            () = end.cancelled() => return,
            () = sleep(dice.millis(50, 6000)) => {}
        }
    }
}

/// Answers whether its life is over for good.
async fn among_blows(world: &World, number: usize, process: &Process, dice: &Dice, end: &CancellationToken) -> bool {
    loop {
        let calm = dice.millis(1, world.scenario.calm * 2);
        tokio::select! {
            biased;
            () = process.threads.dead() => return false,
            () = end.cancelled() => {
                let outcome = process.stop().await;
                if outcome != Some(StopOutcome::Clean) {
                    world.ledger.must_not(format!("stuck: an idle process stops with {outcome:?}"));
                }
                return true;
            }
            () = sleep(calm), if !world.is_healed() => {}
        }
        if world.is_healed() {
            continue;
        }
        let Some(blow) = dice.pick(&world.scenario.blows) else {
            continue;
        };
        if !suffer(world, number, process, dice, blow).await {
            return false;
        }
    }
}

/// Answers whether it lives on.
async fn suffer(world: &World, number: usize, process: &Process, dice: &Dice, blow: Blow) -> bool {
    match blow {
        Blow::Die => {
            world.timeline.fault(number, format_args!("it dies"));
            process.threads.die();
            false
        }
        Blow::StandStill => {
            let time = if dice.happens(500) {
                dice.millis(100, 7000)
            } else {
                dice.millis(7000, 30_000)
            };
            world
                .timeline
                .fault(number, format_args!("it stands still for {time:?}"));
            process.ports.link.stand_still(time).await;
            true
        }
        Blow::Stop => {
            world.timeline.fault(number, format_args!("it is stopped"));
            let outcome = process.stop().await;
            world
                .timeline
                .step(number, "stop", "ended", outcome.map_or(9, |outcome| outcome as u64));
            false
        }
        Blow::Cut => {
            let time = dice.millis(200, 12_000);
            world.timeline.fault(number, format_args!("it is cut off for {time:?}"));
            process.ports.link.cut(time);
            true
        }
        Blow::SetClock => {
            let ahead = i64::try_from(dice.below(120_000)).unwrap_or(0) - 60_000;
            world
                .timeline
                .fault(number, format_args!("its clock is set {ahead} ms ahead"));
            process.clock.set(ahead);
            true
        }
    }
}
