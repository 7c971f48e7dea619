//! What an engine works over, and how.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::bulk::BulkRuns;
use aftercommit_domain::contract::{EnvelopeFactory, TopicName};
use aftercommit_domain::events::{EventFeed, EventLog, Outbox, OutboxTransfer};
use aftercommit_domain::randomness::Randomness;
use aftercommit_domain::tasks::{
    DeadLetterOperations, DeadLetters, InboxMaintenance, Patience, QueueConsumer, QueueMaintenance, QueuePublisher,
    Schedules, TaskCancellations, TaskPauses,
};
use aftercommit_domain::time::Clock;

use crate::lifecycle::ShutdownGrace;
use crate::maintenance::RescuerOptions;
use crate::relay::RelayOptions;
use crate::scheduler::SchedulerOptions;
use crate::worker::TopicOverrides;

/// The ports a process works over.
#[derive(Clone)]
pub struct EnginePorts {
    /// The relay's side of the outbox.
    pub outbox: Arc<dyn Outbox>,
    /// The shorter way from there to the queue, where both are in one database.
    pub outbox_transfer: Option<Arc<dyn OutboxTransfer>>,
    /// Where tasks go.
    pub queue_publisher: Arc<dyn QueuePublisher>,
    /// Where tasks come from.
    pub queue_consumer: Arc<dyn QueueConsumer>,
    /// What keeps the queue tidy.
    pub queue_maintenance: Arc<dyn QueueMaintenance>,
    /// Where published events are kept.
    pub event_log: Arc<dyn EventLog>,
    /// Where other systems hear of events, if they do.
    pub event_feed: Option<Arc<dyn EventFeed>>,
    /// What forgets old claims of the inbox.
    pub inbox: Arc<dyn InboxMaintenance>,
    /// Where dead tasks are kept.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// What operators do with them.
    pub dead_letter_operations: Arc<dyn DeadLetterOperations>,
    /// Which tasks are not to be run any more.
    pub cancellations: Arc<dyn TaskCancellations>,
    /// What is paused.
    pub pauses: Arc<dyn TaskPauses>,
    /// What operators ordered for many.
    pub bulk_runs: Arc<dyn BulkRuns>,
    /// What is published again and again.
    pub schedules: Arc<dyn Schedules>,
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
    /// The scheduler, and the schedules this process declares.
    pub scheduler: SchedulerOptions,
    /// Handlers at once for a topic that does not say. Defaults to 20.
    pub concurrency: usize,
    /// Tasks taken and not yet settled, as a multiple of `concurrency`. Defaults to 4.
    pub prefetch_factor: usize,
    /// How long an attempt of a task that does not say may take. Defaults to 60 s.
    pub timeout: Duration,
    /// How long a task stays a worker's without a sign of life. Defaults to 30 s.
    pub lease: Duration,
    /// How often a process asks what was paused and cancelled. Defaults to 800 ms.
    pub look_for_orders: Duration,
    /// How long an event or a task waits that this build does not know, or not in its version. Defaults to 5 min.
    pub unknown: Patience,
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
            scheduler: SchedulerOptions::default(),
            concurrency: 20,
            prefetch_factor: 4,
            timeout: Duration::from_mins(1),
            lease: Duration::from_secs(30),
            look_for_orders: Duration::from_millis(800),
            unknown: Patience::default(),
            topics: BTreeMap::new(),
            grace: ShutdownGrace::default(),
        }
    }
}

/// What a process does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each role is there or not, whatever the others are"
)]
pub struct Roles {
    /// Moves the outbox.
    pub relay: bool,
    /// Looks routes up.
    pub dispatcher: bool,
    /// Decides about the slots of schedules.
    pub scheduler: bool,
    /// Frees what was lost and forgets what is old.
    pub maintenance: bool,
    /// Runs these topics; `None` for all that are declared.
    pub topics: Option<BTreeSet<TopicName>>,
}

impl Roles {
    /// No loops at all: a process that stores what it is asked for and leaves the rest to others.
    pub fn none() -> Self {
        Self {
            relay: false,
            dispatcher: false,
            scheduler: false,
            maintenance: false,
            topics: Some(BTreeSet::new()),
        }
    }
}

impl Default for Roles {
    fn default() -> Self {
        Self {
            relay: true,
            dispatcher: true,
            scheduler: true,
            maintenance: true,
            topics: None,
        }
    }
}
