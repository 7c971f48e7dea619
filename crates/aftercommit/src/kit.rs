//! The kit: what an application's own code uses of a running process.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use aftercommit_domain::bulk::BulkRuns;
use aftercommit_domain::contract::{Cause, EnvelopeFactory, TaskName, Tenant, TopicName};
use aftercommit_domain::events::{
    DOMAIN_EVENTS_TOPIC, EventCatalogue, EventLog, EventsPublisher, Outbox, RouteEffect, Routes,
    create_events_publisher,
};
use aftercommit_domain::ids::Ids;
use aftercommit_domain::lineage::Lineage;
use aftercommit_domain::randomness::Randomness;
use aftercommit_domain::tasks::{
    Broker, DeadLetterOperations, DeadLetters, QueuePublisher, Schedules, TaskCancellations, TaskDescriptor,
    TaskInspector, TaskPauses,
};
use aftercommit_domain::time::Clock;
use aftercommit_domain::unit_of_work::{StoreError, UnitOfWork, UnitOfWorkFactory};
use aftercommit_domain::workflows::{WorkflowQuerier, WorkflowStarter};
use aftercommit_platform_config::Settings;
use aftercommit_runtime::bulk::{BulkPorts, BulkRunner};
use aftercommit_runtime::worker::TaskInputs;
use aftercommit_runtime::{CountedPublisher, EnginePorts, Health};

use crate::foreign_transaction::OutboxTransaction;
use crate::http::seen_since::SeenSince;
use crate::providers::{Providers, Store, System};
use crate::startup::StartupError;
use crate::workflows::{WorkflowEngine, WorkflowInputs};

/// What an application's own code uses. Cheap to clone.
#[derive(Clone)]
pub struct Kit {
    pub(crate) inner: Arc<KitParts>,
}

pub(crate) struct KitParts {
    pub(crate) settings: Settings,
    pub(crate) system: System,
    pub(crate) envelopes: EnvelopeFactory,
    pub(crate) providers: Providers,
    /// The providers' queue, counted.
    pub(crate) publisher: Arc<CountedPublisher>,
    pub(crate) health: Health,
    /// What runs workflows, if any.
    pub(crate) workflow_engine: Option<Arc<dyn WorkflowEngine>>,
}

impl Kit {
    /// Begins a unit of work of `tenant`, because of `cause`.
    pub async fn begin(&self, tenant: &Tenant, cause: &Cause) -> Result<Box<dyn UnitOfWork>, StoreError> {
        self.inner.providers.units_of_work.begin(tenant, cause).await
    }

    /// Begins units of work.
    pub fn units_of_work(&self) -> Arc<dyn UnitOfWorkFactory> {
        Arc::clone(&self.inner.providers.units_of_work)
    }

    /// The direct rail: events whose upstream write is already durable.
    pub fn events_publisher(&self) -> Arc<dyn EventsPublisher> {
        create_events_publisher(self.queue_publisher(), *self.envelopes().codec().limits())
    }

    /// Answers questions about tasks.
    pub fn task_inspector(&self) -> Arc<dyn TaskInspector> {
        Arc::clone(&self.inner.providers.inspector)
    }

    /// Publishes tasks outside any transaction.
    pub fn queue_publisher(&self) -> Arc<dyn QueuePublisher> {
        let publisher: Arc<dyn QueuePublisher> = Arc::clone(&self.inner.publisher) as _;
        publisher
    }

    /// Schedules outside any transaction; in one, [`UnitOfWork::schedules`].
    pub fn schedules(&self) -> Arc<dyn Schedules> {
        Arc::clone(&self.inner.providers.schedules)
    }

    /// Pauses topics, tasks and tenants, as `aftercommit pause` does.
    pub fn pauses(&self) -> Arc<dyn TaskPauses> {
        Arc::clone(&self.inner.providers.pauses)
    }

    /// Makes envelopes.
    pub fn envelopes(&self) -> &EnvelopeFactory {
        &self.inner.envelopes
    }

    /// The clock.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.inner.system.clock)
    }

    /// New ids.
    pub fn ids(&self) -> Arc<dyn Ids> {
        Arc::clone(&self.inner.system.ids)
    }

    /// Randomness for tokens and keys.
    pub fn randomness(&self) -> Arc<dyn Randomness> {
        Arc::clone(&self.inner.system.randomness)
    }

    /// The configuration.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Where people reach the product, without a slash at the end: `AFTERCOMMIT_HTTP__PUBLIC_URL`, or the address this
    /// process listens on.
    pub fn public_url(&self) -> String {
        let settings = self.settings();
        settings
            .public_url
            .clone()
            .unwrap_or_else(|| format!("http://{}", reachable(settings.http_addr)))
    }

    /// What the loops are doing.
    pub fn health(&self) -> &Health {
        &self.inner.health
    }

    /// The embedded database, for an application that keeps its own tables in the same file.
    ///
    /// # Errors
    /// [`StartupError::OtherDatabase`] when `DATABASE_URL` names another one.
    #[cfg(feature = "sqlite")]
    pub fn sqlite(&self) -> Result<&crate::sqlite::SqliteDatabase, StartupError> {
        match &self.inner.providers.store {
            Store::Sqlite(database) => Ok(database),
            #[cfg(feature = "postgres")]
            Store::Postgres(_) => Err(StartupError::OtherDatabase { wanted: "SQLite" }),
        }
    }

    /// The PostgreSQL database, for an application that keeps its own tables beside the kit's.
    ///
    /// # Errors
    /// [`StartupError::OtherDatabase`] when `DATABASE_URL` names another one.
    #[cfg(feature = "postgres")]
    pub fn postgres(&self) -> Result<&crate::postgres::PostgresDatabase, StartupError> {
        match &self.inner.providers.store {
            Store::Postgres(opened) => Ok(&opened.database),
            #[cfg(feature = "sqlite")]
            Store::Sqlite(_) => Err(StartupError::OtherDatabase { wanted: "PostgreSQL" }),
        }
    }

    /// Writes events and tasks into an open transaction: one of `Kit::sqlite` or `Kit::postgres`, or one of the
    /// application's own pool on the same PostgreSQL database. They leave when it commits, and vanish when it does not.
    pub fn create_outbox_writer<'t, T: OutboxTransaction>(
        &self,
        transaction: &'t mut T,
        tenant: &Tenant,
        cause: &Cause,
    ) -> T::Writer<'t> {
        transaction.outbox_writer(self, tenant, cause)
    }

    /// The inbox in an open transaction, as [`create_outbox_writer`](Self::create_outbox_writer) takes one: for a handler that
    /// does its work in a transaction of the application's own. Give it to
    /// [`TaskContext::claim`](aftercommit_domain::tasks::TaskContext::claim) first thing.
    pub fn create_inbox<'t, T: OutboxTransaction>(&self, transaction: &'t mut T, tenant: &Tenant) -> T::Inbox<'t> {
        transaction.inbox(self, tenant)
    }

    /// What waits under coalescing keys, in an open transaction as [`create_outbox_writer`](Self::create_outbox_writer) takes
    /// one: to cancel or move it together with the state it is about.
    pub fn create_task_windows<'t, T: OutboxTransaction>(
        &self,
        transaction: &'t mut T,
        tenant: &Tenant,
    ) -> T::Windows<'t> {
        transaction.windows(self, tenant)
    }

    /// Starts workflows and tells them things outside any transaction; `None` without an engine. In a transaction,
    /// [`WorkflowOutboxExt`](crate::workflows::WorkflowOutboxExt), which needs no engine to be there.
    pub fn workflow_starter(&self) -> Option<Arc<dyn WorkflowStarter>> {
        self.inner.workflow_engine.as_ref().map(|engine| engine.starter())
    }

    /// Looks at workflows; `None` without an engine.
    pub fn workflow_querier(&self) -> Option<Arc<dyn WorkflowQuerier>> {
        self.inner.workflow_engine.as_ref().map(|engine| engine.querier())
    }

    /// The broker behind the queue; `None` when the queue is in the database.
    pub fn broker(&self) -> Option<Arc<dyn Broker>> {
        self.inner.providers.broker.clone()
    }

    /// What sends e-mail: the configured server, or files in the data directory.
    ///
    /// # Errors
    /// The sender's address or the folder.
    #[cfg(feature = "smtp")]
    pub fn email_sender(&self) -> Result<Arc<dyn aftercommit_domain::effects::EmailSender>, StartupError> {
        crate::providers::email_sender(self.settings(), self.clock())
    }

    /// Where objects are kept: in files of a folder or in a bucket. Opens it, so an application asks once and shares what it
    /// gets. Where a second process would look elsewhere, the log says so.
    ///
    /// # Errors
    /// The folder, the secret of its links, or what names the bucket.
    #[cfg(feature = "object-storage")]
    pub fn object_storage(&self) -> Result<Arc<dyn aftercommit_domain::effects::ObjectStorage>, StartupError> {
        Ok(crate::providers::storage::of(self)?.storage)
    }

    /// Reads objects by link, for whoever serves `/downloads/` under [`public_url`](Self::public_url). Of a bucket it makes
    /// the links only: they lead there, and none leads here.
    ///
    /// # Errors
    /// Those of [`object_storage`](Self::object_storage).
    #[cfg(feature = "object-storage")]
    pub fn downloads(&self) -> Result<aftercommit_domain::effects::Downloads, StartupError> {
        Ok(crate::providers::storage::of(self)?.downloads)
    }

    /// What sends webhooks: over HTTP, to the public internet unless the settings say otherwise.
    ///
    /// # Errors
    /// None yet: a machine without certificate authorities is told of in the log.
    #[cfg(feature = "webhooks")]
    pub fn webhook_sender(&self) -> Result<Arc<dyn aftercommit_domain::effects::WebhookSender>, StartupError> {
        crate::providers::webhooks::sender(self.settings(), self.clock())
    }

    /// The reference product's stores, brought to this version.
    ///
    /// # Errors
    /// The database.
    #[cfg(feature = "reference")]
    pub async fn reference_ports(&self) -> Result<aftercommit_domain::reference::ReferencePorts, StartupError> {
        crate::providers::reference_ports(self).await
    }

    /// The ports an engine works over: for tests and tools that put something around one of them.
    pub fn engine_ports(&self) -> EnginePorts {
        let providers = &self.inner.providers;
        EnginePorts {
            outbox: Arc::clone(&providers.outbox),
            outbox_transfer: providers.outbox_transfer.clone(),
            queue_publisher: self.queue_publisher(),
            queue_consumer: Arc::clone(&providers.queue_consumer),
            queue_maintenance: Arc::clone(&providers.queue_maintenance),
            event_log: Arc::clone(&providers.event_log),
            event_feed: providers.event_feed.clone(),
            inbox: Arc::clone(&providers.inbox),
            dead_letters: Arc::clone(&providers.dead_letters),
            dead_letter_operations: Arc::clone(&providers.dead_letter_operations),
            cancellations: Arc::clone(&providers.cancellations),
            pauses: Arc::clone(&providers.pauses),
            bulk_runs: Arc::clone(&providers.bulk_runs),
            schedules: Arc::clone(&providers.schedules),
            envelopes: self.envelopes().clone(),
            clock: self.clock(),
            randomness: self.randomness(),
        }
    }

    /// What wakes the relay of this process when someone else's transaction commits.
    #[cfg(feature = "postgres")]
    pub(crate) fn relay_wake(&self) -> Arc<crate::postgres::Wake> {
        match &self.inner.providers.store {
            Store::Postgres(opened) => opened.database.relay_wake(),
            // Nobody listens; the rows would be refused by the other database anyhow.
            #[cfg(feature = "sqlite")]
            Store::Sqlite(_) => Arc::default(),
        }
    }

    /// Closes the database; after the loops have stopped.
    pub async fn close(&self) {
        self.inner.providers.close().await;
    }
}

/// What operators ask and order: the ports behind `/admin/v1`.
#[derive(Clone)]
pub struct Operations {
    /// Whether this process takes anything to the queue or from it, besides its own requests.
    pub(crate) works_on_the_queue: bool,
    /// Whether it moves the outbox.
    pub(crate) relays: bool,
    /// Since when `/ready` has seen each trouble.
    pub(crate) seen_since: SeenSince,
    pub(crate) kit: Kit,
    pub(crate) catalogue: EventCatalogue,
    pub(crate) routes: Arc<Routes>,
    pub(crate) tasks: TaskInputs,
    pub(crate) descriptors: Arc<Vec<TaskDescriptor>>,
    /// After how many attempts each task is given up here.
    pub(crate) max_attempts: Arc<HashMap<(TopicName, TaskName), u32>>,
    /// How the workflows it knows are started.
    pub(crate) workflows: WorkflowInputs,
}

impl Operations {
    /// The topics this process declares, and the dispatcher's.
    pub(crate) fn topics(&self) -> BTreeSet<TopicName> {
        let declared = self.descriptors.iter().map(|task| task.topic.clone());
        declared.chain([DOMAIN_EVENTS_TOPIC]).collect()
    }

    /// The same, and those its routes lead to.
    pub(crate) fn leads_to(&self) -> BTreeSet<TopicName> {
        let routed = self.routes.entries().iter().filter_map(|route| match &route.effect {
            RouteEffect::Dispatches(targets) => Some(targets),
            RouteEffect::None(_) => None,
        });
        let routed = routed.flatten().map(|target| target.topic.clone());
        self.topics().into_iter().chain(routed).collect()
    }

    /// Whether this process declares `topic`.
    pub(crate) fn owns(&self, topic: &TopicName) -> bool {
        *topic == DOMAIN_EVENTS_TOPIC || self.descriptors.iter().any(|task| task.topic == *topic)
    }

    pub(crate) fn outbox(&self) -> &dyn Outbox {
        &*self.kit.inner.providers.outbox
    }

    pub(crate) fn event_log(&self) -> &dyn EventLog {
        &*self.kit.inner.providers.event_log
    }

    pub(crate) fn dead_letters(&self) -> &dyn DeadLetters {
        &*self.kit.inner.providers.dead_letters
    }

    pub(crate) fn dead_letter_operations(&self) -> &dyn DeadLetterOperations {
        &*self.kit.inner.providers.dead_letter_operations
    }

    pub(crate) fn cancellations(&self) -> &dyn TaskCancellations {
        &*self.kit.inner.providers.cancellations
    }

    pub(crate) fn pauses(&self) -> &dyn TaskPauses {
        &*self.kit.inner.providers.pauses
    }

    pub(crate) fn bulk_runs(&self) -> &dyn BulkRuns {
        &*self.kit.inner.providers.bulk_runs
    }

    pub(crate) fn schedules(&self) -> &dyn Schedules {
        &*self.kit.inner.providers.schedules
    }

    /// Carries bulk runs out in this process.
    pub(crate) fn bulk_runner(&self) -> BulkRunner {
        let providers = &self.kit.inner.providers;
        BulkRunner::new(BulkPorts {
            runs: Arc::clone(&providers.bulk_runs),
            dead_letters: Arc::clone(&providers.dead_letter_operations),
            event_log: Arc::clone(&providers.event_log),
            routes: Arc::clone(&self.routes),
            envelopes: self.kit.envelopes().clone(),
            queue: self.kit.queue_publisher(),
        })
    }

    pub(crate) fn lineage(&self) -> &dyn Lineage {
        &*self.kit.inner.providers.lineage
    }

    pub(crate) fn inspector(&self) -> &dyn TaskInspector {
        &*self.kit.inner.providers.inspector
    }
}

/// Where an address that stands for all of this machine's can be called from here.
pub(crate) fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}
