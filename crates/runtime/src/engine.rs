//! Puts the loops of a process together, starts them and stops them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{Codec, TaskName, TopicName, WorkerName};
use aftercommit_domain::events::{DISPATCH_TASK, DOMAIN_EVENTS_TOPIC, EventCatalogue, Routes, create_events_publisher};
use aftercommit_domain::failure::Failure;
use aftercommit_domain::tasks::TaskDescriptor;
use aftercommit_domain::workflows::WORKFLOW_REQUESTS_TOPIC;
use tokio_util::sync::CancellationToken;

use crate::dispatcher::{Dispatcher, DispatcherPorts};
use crate::health::{Health, LoopHealth};
use crate::lifecycle::{Backoff, Round, Shutdown, ShutdownGrace, Spawner, StopOutcome, keep_going};
use crate::maintenance::{Rescuer, RescuerOptions, RescuerPorts};
use crate::options::{EngineOptions, EnginePorts};
use crate::orders::{OrderLoop, OrderLoopPorts, Orders};
use crate::relay::{Relay, RelayOptions, RelayPorts};
use crate::scheduler::{Scheduler, SchedulerOptions};
use crate::worker::{Isolation, Registry, TaskInputs, Topic, TopicDefaults, TopicLoop, TopicLoopPorts};

/// The dispatcher mostly waits for the queue, so that even a small process looks up this many events at once.
const LEAST_DISPATCHERS: usize = 128;

/// Longer than all tries of a dispatch: a queue that hangs is no fault of the event.
const DISPATCH_TIMEOUT: Duration = Duration::from_mins(2);

/// Everything a process runs, checked and ready to start.
pub struct Engine {
    ports: EnginePorts,
    options: EngineOptions,
    catalogue: EventCatalogue,
    routes: Arc<Routes>,
    registry: Registry,
    /// The dispatcher's own topic.
    dispatcher: Registry,
}

/// What an application declared does not fit together. It does not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.join("\n"))]
pub struct StartError {
    /// Everything that is wrong, one line for each problem.
    pub problems: Vec<String>,
}

impl Engine {
    /// Checks what an application declared. Nothing runs yet.
    ///
    /// # Errors
    /// Names everything that does not fit together, all at once: an event without a route, a routed task without a
    /// handler, a task with two handlers, a topic to be run that is not declared.
    pub fn new(
        ports: EnginePorts,
        options: EngineOptions,
        catalogue: &EventCatalogue,
        routes: Routes,
        topics: Vec<Topic>,
    ) -> Result<Self, StartError> {
        let mut problems = routes
            .check(catalogue)
            .map_or_else(|error| error.problems, |()| Vec::new());
        let codec = ports.envelopes.codec();
        let defaults = TopicDefaults {
            concurrency: options.concurrency,
            prefetch_factor: options.prefetch_factor,
            timeout: options.timeout,
        };
        let registry = Registry::build(topics, defaults, &options.topics, codec, &mut problems);
        registry.check_routes(&routes, &mut problems);
        registry.check_schedules(&options.scheduler.declared, &mut problems);
        let declared = registry.topic_names();
        if declared.contains(&DOMAIN_EVENTS_TOPIC) {
            problems.push(format!(
                "topic {DOMAIN_EVENTS_TOPIC} is the dispatcher's own; give yours another name"
            ));
        }
        if registry.task_inputs().has_topic(&WORKFLOW_REQUESTS_TOPIC) {
            problems.push(format!(
                "topic {WORKFLOW_REQUESTS_TOPIC} is for requests to workflows; give yours another name"
            ));
        }
        for topic in options.roles.topics.iter().flatten() {
            if !declared.contains(topic) {
                problems.push(format!("topic {topic} is to be run here but is not declared"));
            }
        }
        let routes = Arc::new(routes);
        let of_dispatcher = TopicDefaults {
            concurrency: defaults.concurrency.max(LEAST_DISPATCHERS),
            timeout: defaults.timeout.max(DISPATCH_TIMEOUT),
            ..defaults
        };
        let dispatcher = dispatcher_topic(&ports, Arc::clone(&routes));
        let dispatcher = Registry::build(vec![dispatcher], of_dispatcher, &options.topics, codec, &mut problems);
        // A process that declares none leaves all of them to others.
        let is_worker = !declared.is_empty();
        for topic in registry.routed_elsewhere(&routes).into_iter().filter(|_| is_worker) {
            tracing::warn!(%topic, "a route leads to a topic that is not declared here; its tasks wait until a process declares it");
        }
        if problems.is_empty() {
            Ok(Self {
                ports,
                options,
                catalogue: catalogue.clone(),
                routes,
                registry,
                dispatcher,
            })
        } else {
            Err(StartError { problems })
        }
    }

    /// The contracts its handlers run.
    pub fn task_descriptors(&self) -> Vec<TaskDescriptor> {
        self.registry.descriptors()
    }

    /// After how many attempts each task is given up here.
    pub fn max_attempts(&self) -> HashMap<(TopicName, TaskName), u32> {
        self.registry.max_attempts()
    }

    /// Reads tasks that a person wrote as JSON.
    pub fn task_inputs(&self) -> TaskInputs {
        self.registry.task_inputs()
    }

    /// The topics it declares.
    pub fn topic_names(&self) -> Vec<TopicName> {
        self.registry.topic_names()
    }

    /// The topics it declares, those its routes lead to, and the dispatcher's own: what its queue has to carry.
    pub fn topics_it_leads_to(&self) -> BTreeSet<TopicName> {
        let declared = self.registry.topic_names().into_iter();
        let routed = self.registry.routed_elsewhere(&self.routes).into_iter();
        // Any transaction may ask for a workflow, and nothing declares that it does.
        let own = [DOMAIN_EVENTS_TOPIC, WORKFLOW_REQUESTS_TOPIC];
        declared.chain(routed).chain(own).collect()
    }

    /// The table of what follows from what.
    pub const fn routes(&self) -> &Arc<Routes> {
        &self.routes
    }

    /// Starts the loops of its roles.
    pub fn start(self, health: &Health) -> RunningEngine {
        self.start_under(health, Shutdown::new())
    }

    /// Starts the loops of its roles on `spawner`, which also runs the attempts.
    pub fn start_on(self, health: &Health, spawner: Arc<dyn Spawner>) -> RunningEngine {
        self.start_under(health, Shutdown::with_spawner(spawner))
    }

    fn start_under(self, health: &Health, shutdown: Shutdown) -> RunningEngine {
        let grace = self.options.grace;
        let codec = self.ports.envelopes.codec().clone();
        let limits = *codec.limits();
        let starter = Starter {
            shutdown: &shutdown,
            health,
            backoff: Backoff::new(Arc::clone(&self.ports.randomness)),
        };
        if self.options.roles.relay {
            starter.relay(&self.ports, self.options.relay, self.catalogue, codec);
        }
        // One that runs no tasks declares no schedules, and has no say in what others declare.
        if self.options.roles.scheduler && !self.registry.topics.is_empty() {
            starter.scheduler(&self.ports, self.options.scheduler);
        }
        if self.options.roles.maintenance {
            starter.rescuer(&self.ports, self.options.rescuer);
        }
        let mut topics = self.registry.topics;
        if let Some(only) = &self.options.roles.topics {
            topics.retain(|topic| only.contains(&topic.name));
        }
        if self.options.roles.dispatcher {
            topics.extend(self.dispatcher.topics);
        }
        let orders = Orders::new(Arc::clone(&self.ports.cancellations));
        if !topics.is_empty() {
            starter.orders(&self.ports, &orders, self.options.look_for_orders);
        }
        let isolation = Arc::new(Isolation::default());
        for topic in topics {
            let ports = TopicLoopPorts {
                consumer: Arc::clone(&self.ports.queue_consumer),
                randomness: Arc::clone(&self.ports.randomness),
                clock: Arc::clone(&self.ports.clock),
                limits,
                shutdown: shutdown.clone(),
                worker: WorkerName::constant("worker"),
                lease: self.options.lease,
                patience: self.options.unknown,
                isolation: Arc::clone(&isolation),
                orders: Arc::clone(&orders),
            };
            starter.topic(TopicLoop::new(topic, ports));
        }
        RunningEngine {
            shutdown,
            health: health.clone(),
            grace,
        }
    }
}

fn dispatcher_topic(ports: &EnginePorts, routes: Arc<Routes>) -> Topic {
    let dispatcher = Dispatcher::new(
        routes,
        DispatcherPorts {
            envelopes: ports.envelopes.clone(),
            queue: Arc::clone(&ports.queue_publisher),
            event_log: Arc::clone(&ports.event_log),
            feed: ports.event_feed.clone(),
            dead_letters: Arc::clone(&ports.dead_letters),
            randomness: Arc::clone(&ports.randomness),
        },
    );
    Topic::named(DOMAIN_EVENTS_TOPIC.as_str()).handle_envelopes(
        (DOMAIN_EVENTS_TOPIC, DISPATCH_TASK),
        Arc::new(dispatcher),
        None,
    )
}

/// Starts loops under one shutdown.
struct Starter<'a> {
    shutdown: &'a Shutdown,
    health: &'a Health,
    backoff: Backoff,
}

impl Starter<'_> {
    fn relay(&self, ports: &EnginePorts, options: RelayOptions, catalogue: EventCatalogue, codec: Codec) {
        let ports = RelayPorts {
            outbox: Arc::clone(&ports.outbox),
            events: create_events_publisher(Arc::clone(&ports.queue_publisher), *codec.limits()),
            queue: Arc::clone(&ports.queue_publisher),
            transfer: ports.outbox_transfer.clone(),
            clock: Arc::clone(&ports.clock),
            randomness: Arc::clone(&ports.randomness),
            catalogue,
            codec,
        };
        let relay = Arc::new(Relay::new(ports, options));
        self.spawn("relay".into(), move |health, stop| {
            let relay = Arc::clone(&relay);
            async move { relay.round(&health, &stop).await }
        });
    }

    fn scheduler(&self, ports: &EnginePorts, options: SchedulerOptions) {
        let scheduler = Arc::new(Scheduler::new(Arc::clone(&ports.schedules), options));
        self.spawn("scheduler".into(), move |health, stop| {
            let scheduler = Arc::clone(&scheduler);
            async move { scheduler.round(&health, &stop).await }
        });
    }

    fn rescuer(&self, ports: &EnginePorts, options: RescuerOptions) {
        let ports = RescuerPorts {
            outbox: Arc::clone(&ports.outbox),
            queue: Arc::clone(&ports.queue_maintenance),
            event_log: Arc::clone(&ports.event_log),
            inbox: Arc::clone(&ports.inbox),
            dead_letters: Arc::clone(&ports.dead_letter_operations),
            cancellations: Arc::clone(&ports.cancellations),
            bulk_runs: Arc::clone(&ports.bulk_runs),
            schedules: Arc::clone(&ports.schedules),
            clock: Arc::clone(&ports.clock),
        };
        let rescuer = Arc::new(Rescuer::new(ports, options));
        self.spawn("rescuer".into(), move |health, stop| {
            let rescuer = Arc::clone(&rescuer);
            async move { rescuer.round(&health, &stop).await }
        });
    }

    fn orders(&self, ports: &EnginePorts, orders: &Arc<Orders>, every: Duration) {
        let order_loop = Arc::new(OrderLoop::new(OrderLoopPorts {
            cancellations: Arc::clone(&ports.cancellations),
            pauses: Arc::clone(&ports.pauses),
            orders: Arc::clone(orders),
            every,
        }));
        self.spawn("orders".into(), move |health, stop| {
            let order_loop = Arc::clone(&order_loop);
            async move { order_loop.round(&health, &stop).await }
        });
    }

    fn topic(&self, topic: TopicLoop) {
        let topic = Arc::new(topic);
        self.spawn(format!("topic {}", topic.topic()), move |health, stop| {
            let topic = Arc::clone(&topic);
            async move { topic.round(&health, &stop).await }
        });
    }

    fn spawn<F, Fut>(&self, name: String, round: F)
    where
        F: Fn(Arc<LoopHealth>, CancellationToken) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Round, Failure>> + Send + 'static,
    {
        let health = Arc::new(self.health.register(name));
        let stop = self.shutdown.stop_token().clone();
        let rounds = {
            let (health, stop) = (Arc::clone(&health), stop.clone());
            move || round(Arc::clone(&health), stop.clone())
        };
        self.shutdown
            .spawn_loop(keep_going(health, stop, self.backoff.clone(), rounds));
    }
}

/// The loops of a process at work.
pub struct RunningEngine {
    shutdown: Shutdown,
    health: Health,
    grace: ShutdownGrace,
}

impl RunningEngine {
    /// Stops in stages: no new work, time to finish, cancelled, dropped. Answers how it went.
    pub async fn stop(self) -> StopOutcome {
        let outcome = self.shutdown.stop(&self.health, self.grace).await;
        failpoint!(SHUTDOWN_AFTER_LOOPS);
        outcome
    }
}
