//! Puts the loops of a process together, starts them and stops them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{EnvelopeFactory, Limits, TopicName, WorkerName};
use aftercommit_domain::events::{
    DISPATCH_TASK, DOMAIN_EVENTS_TOPIC, EventCatalogue, EventLog, Outbox, Routes, RoutesError, create_events_publisher,
};
use aftercommit_domain::randomness::Randomness;
use aftercommit_domain::tasks::{DeadLetters, QueueConsumer, QueueMaintenance, QueuePublisher, TaskDescriptor};
use aftercommit_domain::time::Clock;

use crate::dispatcher::{Dispatcher, DispatcherPorts};
use crate::health::Health;
use crate::lifecycle::{Backoff, Shutdown, ShutdownGrace, StopOutcome, keep_going};
use crate::maintenance::{Rescuer, RescuerOptions};
use crate::relay::{Relay, RelayOptions, RelayPorts};
use crate::worker::{
    AttemptServices, Registry, RegistryError, TaskInputs, Topic, TopicDefaults, TopicLoop, TopicLoopPorts,
    TopicOverrides,
};

/// Everything a process runs, checked and ready to start.
pub struct Engine {
    ports: EnginePorts,
    options: EngineOptions,
    routes: Arc<Routes>,
    registry: Registry,
}

/// The ports a process works over.
#[derive(Clone)]
pub struct EnginePorts {
    /// The relay's side of the outbox.
    pub outbox: Arc<dyn Outbox>,
    /// Where tasks go.
    pub queue_publisher: Arc<dyn QueuePublisher>,
    /// Where tasks come from.
    pub queue_consumer: Arc<dyn QueueConsumer>,
    /// What keeps the queue tidy.
    pub queue_maintenance: Arc<dyn QueueMaintenance>,
    /// Where published events are kept.
    pub event_log: Arc<dyn EventLog>,
    /// Where dead tasks are kept.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// Makes envelopes.
    pub envelopes: EnvelopeFactory,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// For jitter.
    pub randomness: Arc<dyn Randomness>,
}

/// How the loops work.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineOptions {
    /// What this process does. Defaults to everything.
    pub roles: Roles,
    /// The relay.
    pub relay: RelayOptions,
    /// The rescuer.
    pub rescuer: RescuerOptions,
    /// Handlers at once for a topic that does not say. Defaults to 20.
    pub concurrency: usize,
    /// Tasks taken and not yet settled, as a multiple of `concurrency`. Defaults to 4.
    pub prefetch_factor: usize,
    /// How long an attempt of a task that does not say may take. Defaults to 60 s.
    pub timeout: Duration,
    /// How long a task stays a worker's without a sign of life. Defaults to 30 s.
    pub lease: Duration,
    /// What configuration changes about topics.
    pub topics: BTreeMap<TopicName, TopicOverrides>,
    /// How long a stop takes at most.
    pub grace: ShutdownGrace,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            roles: Roles::default(),
            relay: RelayOptions::default(),
            rescuer: RescuerOptions::default(),
            concurrency: 20,
            prefetch_factor: 4,
            timeout: Duration::from_mins(1),
            lease: Duration::from_secs(30),
            topics: BTreeMap::new(),
            grace: ShutdownGrace::default(),
        }
    }
}

/// What a process does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles {
    /// Moves the outbox.
    pub relay: bool,
    /// Looks routes up.
    pub dispatcher: bool,
    /// Frees what was lost and forgets what is old.
    pub maintenance: bool,
    /// Runs these topics; `None` for all that are declared.
    pub topics: Option<BTreeSet<TopicName>>,
}

impl Default for Roles {
    fn default() -> Self {
        Self {
            relay: true,
            dispatcher: true,
            maintenance: true,
            topics: None,
        }
    }
}

/// What an application declared does not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// Events and routes.
    #[error(transparent)]
    Routes(#[from] RoutesError),
    /// Topics and handlers.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A topic that is to be run is not declared.
    #[error("topic {0} is to be run here but is not declared")]
    UnknownTopic(TopicName),
}

impl Engine {
    /// Checks what an application declared. Nothing runs yet.
    ///
    /// # Errors
    /// Names everything that does not fit together: an event without a route, a routed task without a handler, a task
    /// with two handlers.
    pub fn new(
        ports: EnginePorts,
        options: EngineOptions,
        catalogue: &EventCatalogue,
        routes: Routes,
        topics: Vec<Topic>,
    ) -> Result<Self, StartError> {
        routes.check(catalogue)?;
        let defaults = TopicDefaults {
            concurrency: options.concurrency,
            prefetch_factor: options.prefetch_factor,
            timeout: options.timeout,
        };
        let registry = Registry::build(topics, defaults, &options.topics, ports.envelopes.codec())?;
        registry.check_routes(&routes)?;
        let declared = registry.topic_names();
        if let Some(unknown) = options
            .roles
            .topics
            .iter()
            .flatten()
            .find(|topic| !declared.contains(topic))
        {
            return Err(StartError::UnknownTopic(unknown.clone()));
        }
        Ok(Self {
            ports,
            options,
            routes: Arc::new(routes),
            registry,
        })
    }

    /// The contracts its handlers run.
    pub fn task_descriptors(&self) -> Vec<TaskDescriptor> {
        self.registry.descriptors()
    }

    /// Reads tasks that a person wrote as JSON.
    pub fn task_inputs(&self) -> TaskInputs {
        self.registry.task_inputs()
    }

    /// The topics it declares.
    pub fn topic_names(&self) -> Vec<TopicName> {
        self.registry.topic_names()
    }

    /// The table of what follows from what.
    pub const fn routes(&self) -> &Arc<Routes> {
        &self.routes
    }

    /// Starts the loops of its roles.
    pub fn start(self, health: &Health) -> RunningEngine {
        let shutdown = Shutdown::new();
        let grace = self.options.grace;
        let limits = *self.ports.envelopes.codec().limits();
        let starter = Starter {
            shutdown: &shutdown,
            health,
            backoff: Backoff::new(Arc::clone(&self.ports.randomness)),
        };
        if self.options.roles.relay {
            starter.relay(&self.ports, self.options.relay, limits);
        }
        if self.options.roles.maintenance {
            starter.rescuer(&self.ports, self.options.rescuer);
        }
        let mut topics = self.registry.topics;
        if let Some(only) = &self.options.roles.topics {
            topics.retain(|topic| only.contains(&topic.name));
        }
        if self.options.roles.dispatcher {
            let dispatcher = dispatcher_topic(&self.ports, Arc::clone(&self.routes));
            let defaults = TopicDefaults {
                concurrency: self.options.concurrency.max(16),
                prefetch_factor: self.options.prefetch_factor,
                timeout: self.options.timeout,
            };
            // The dispatcher's own topic is built from constants, so there is nothing that could be refused.
            if let Ok(registry) = Registry::build(
                vec![dispatcher],
                defaults,
                &self.options.topics,
                self.ports.envelopes.codec(),
            ) {
                topics.extend(registry.topics);
            }
        }
        for topic in topics {
            let services = AttemptServices {
                clock: Arc::clone(&self.ports.clock),
                limits,
                shutdown: shutdown.clone(),
            };
            let ports = TopicLoopPorts {
                consumer: Arc::clone(&self.ports.queue_consumer),
                randomness: Arc::clone(&self.ports.randomness),
                services,
                worker: WorkerName::constant("worker"),
                lease: self.options.lease,
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
            dead_letters: Arc::clone(&ports.dead_letters),
            randomness: Arc::clone(&ports.randomness),
        },
    );
    Topic::named(DOMAIN_EVENTS_TOPIC.as_str()).handle_envelopes(
        DOMAIN_EVENTS_TOPIC,
        DISPATCH_TASK,
        Arc::new(dispatcher),
    )
}

/// Starts loops under one shutdown.
struct Starter<'a> {
    shutdown: &'a Shutdown,
    health: &'a Health,
    backoff: Backoff,
}

impl Starter<'_> {
    fn relay(&self, ports: &EnginePorts, options: RelayOptions, limits: Limits) {
        let ports = RelayPorts {
            outbox: Arc::clone(&ports.outbox),
            events: create_events_publisher(Arc::clone(&ports.queue_publisher), limits),
            queue: Arc::clone(&ports.queue_publisher),
            clock: Arc::clone(&ports.clock),
            randomness: Arc::clone(&ports.randomness),
            limits,
        };
        let relay = Arc::new(Relay::new(ports, options));
        let stop = self.shutdown.stop_token().clone();
        let rounds = stop.clone();
        self.spawn("relay".into(), stop, move || {
            let (relay, stop) = (Arc::clone(&relay), rounds.clone());
            async move { relay.round(&stop).await }
        });
    }

    fn rescuer(&self, ports: &EnginePorts, options: RescuerOptions) {
        let rescuer = Arc::new(Rescuer::new(
            Arc::clone(&ports.outbox),
            Arc::clone(&ports.queue_maintenance),
            Arc::clone(&ports.clock),
            options,
        ));
        let stop = self.shutdown.stop_token().clone();
        let rounds = stop.clone();
        self.spawn("rescuer".into(), stop, move || {
            let (rescuer, stop) = (Arc::clone(&rescuer), rounds.clone());
            async move { rescuer.round(&stop).await }
        });
    }

    fn topic(&self, topic: TopicLoop) {
        let name = format!("topic {}", topic.topic());
        let topic = Arc::new(topic);
        let stop = self.shutdown.stop_token().clone();
        let rounds = stop.clone();
        self.spawn(name, stop, move || {
            let (topic, stop) = (Arc::clone(&topic), rounds.clone());
            async move { topic.round(&stop).await }
        });
    }

    fn spawn<F, Fut>(&self, name: String, stop: tokio_util::sync::CancellationToken, round: F)
    where
        F: FnMut() -> Fut + Send + 'static,
        Fut: Future<Output = Result<crate::lifecycle::Round, aftercommit_domain::failure::Failure>> + Send + 'static,
    {
        let health = self.health.register(name);
        self.shutdown
            .spawn_loop(keep_going(health, stop, self.backoff.clone(), round));
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
        self.shutdown.stop(&self.health, self.grace).await
    }
}
