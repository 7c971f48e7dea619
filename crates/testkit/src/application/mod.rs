//! An application in the memory of one test: its events, what follows from them, and who does it.

mod books;
mod gate;
mod kit;
mod left_over;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::events::{
    DOMAIN_EVENTS_TOPIC, DomainEvent, EventCatalogue, OutboxWriterExt, Routes, WriteError,
};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{Task, TaskOptions};
use aftercommit_domain::time::{after, seconds};
use aftercommit_domain::unit_of_work::CommitError;
use aftercommit_runtime::lifecycle::Spawner;
use aftercommit_runtime::worker::Topic;
use aftercommit_runtime::{Engine, EngineOptions, EnginePorts, Health, Roles, RunningEngine};
use tokio::time::timeout;

use crate::application::gate::Gated;
use crate::application::left_over::LeftOver;
use crate::{InMemory, TestServices, test_services};

pub use kit::TestKit;
pub use left_over::StillBusy;

/// How often the clock may jump until an application has come to rest.
const MOST_JUMPS: u32 = 1000;

/// An application in memory, with the loops it has in production and a clock that a test moves.
///
/// Declared like the application itself; nothing runs until the test says so. [`run_until_idle`](Self::run_until_idle) runs
/// everything that is due, and lets the clock jump to what is due later, until nothing is left to do. Then the test looks
/// at what was [published](Self::published), how tasks [ended](Self::outcomes), and at the [dead letters](Self::dead_letters).
///
/// When it is dropped with work or dead letters left over, the test fails and names them.
///
/// ```
/// use aftercommit_domain::catalogue;
/// use aftercommit_domain::contract::{OrganizationId, ProjectId};
/// use aftercommit_domain::events::{DomainEvent, Routes, publish};
/// use aftercommit_domain::tasks::{Task, TaskContext, TaskHandler, TaskResult, completed};
/// use aftercommit_runtime::worker::Topic;
/// use aftercommit_testkit::TestApplication;
/// use async_trait::async_trait;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, DomainEvent)]
/// #[event(name = "InvoicePaid", version = 1, aggregate = "invoice")]
/// struct InvoicePaid { organization_id: OrganizationId, project_id: ProjectId, #[aggregate_id] invoice_id: i64 }
///
/// #[derive(Serialize, Deserialize, Task)]
/// #[task(topic = "receipts", name = "send", version = 1)]
/// struct SendReceipt { organization_id: OrganizationId, project_id: ProjectId, invoice_id: i64 }
///
/// struct Receipts;
///
/// #[async_trait]
/// impl TaskHandler<SendReceipt> for Receipts {
///     async fn handle(&self, _task: SendReceipt, _ctx: &TaskContext) -> TaskResult {
///         completed()
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let app = TestApplication::new()
///     .events(catalogue![InvoicePaid])
///     .routes(Routes::new().on(|paid: &InvoicePaid| publish(SendReceipt {
///         organization_id: paid.organization_id.clone(),
///         project_id: paid.project_id.clone(),
///         invoice_id: paid.invoice_id,
///     })))
///     .topic(Topic::named("receipts").handle::<SendReceipt>(Receipts));
///
/// app.write(InvoicePaid { organization_id: 7.into(), project_id: 8.into(), invoice_id: 9 }).await;
/// app.assert_not_published::<SendReceipt>();
/// app.run_until_idle().await;
/// assert_eq!(app.assert_published::<SendReceipt>()[0].invoice_id, 9);
/// app.finish();
/// # });
/// ```
pub struct TestApplication {
    kit: TestKit,
    patience: Duration,
    declared: Mutex<Declared>,
    /// Whether nobody looks at what is left over.
    leaves: bool,
}

/// What the test declared, and the engine once it runs.
#[derive(Default)]
struct Declared {
    catalogue: EventCatalogue,
    routes: Routes,
    topics: Vec<Topic>,
    started: Option<Started>,
}

struct Started {
    /// The topics that have a worker here.
    topics: BTreeSet<TopicName>,
    threads: Arc<Threads>,
    _engine: RunningEngine,
}

impl Default for TestApplication {
    fn default() -> Self {
        Self::new()
    }
}

impl TestApplication {
    /// An application that knows no events yet, with the [services](test_services) of every test.
    pub fn new() -> Self {
        Self::with_services(&test_services())
    }

    /// The same with services of the test's own, such as other limits.
    pub fn with_services(services: &TestServices) -> Self {
        let store = InMemory::for_tests(services);
        Self {
            kit: TestKit::new(services.clone(), Gated::new(store)),
            patience: seconds(10),
            declared: Mutex::default(),
            leaves: false,
        }
    }

    /// The events it knows: `catalogue![InvoicePaid]`.
    pub fn events(self, catalogue: EventCatalogue) -> Self {
        self.declared().catalogue = catalogue;
        self
    }

    /// What follows from them.
    pub fn routes(self, routes: Routes) -> Self {
        self.declared().routes = routes;
        self
    }

    /// A topic whose handlers need nothing of the kit.
    pub fn topic(self, topic: Topic) -> Self {
        self.declared().topics.push(topic);
        self
    }

    /// Topics whose handlers are built with the kit: its units of work, its publishers, its clock.
    pub fn topics(self, topics: impl FnOnce(&TestKit) -> Vec<Topic>) -> Self {
        let topics = topics(&self.kit);
        self.declared().topics.extend(topics);
        self
    }

    /// How long handlers may take, in real time, until a run is given up as [`StillBusy`]. Defaults to 10 s.
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// What the code under test uses: units of work, publishers, the clock.
    pub const fn kit(&self) -> &TestKit {
        &self.kit
    }

    /// Commits `event` in a unit of work of its own. Answers its id.
    ///
    /// # Panics
    /// When it cannot be written.
    pub async fn write<E: DomainEvent>(&self, event: E) -> MessageId {
        let tenant = event.tenant();
        let write = async {
            let mut unit_of_work = self.kit.begin_root(&tenant).await;
            let id = unit_of_work.outbox().write(event).await?;
            Ok((id, unit_of_work.commit().await))
        };
        committed(write.await, &E::contract_name())
    }

    /// Commits `task` in a unit of work of its own. Answers its id.
    ///
    /// # Panics
    /// When it cannot be written.
    pub async fn publish<T: Task>(&self, task: T) -> MessageId {
        self.publish_with(task, TaskOptions::default()).await
    }

    /// The same with options.
    ///
    /// # Panics
    /// When it cannot be written.
    pub async fn publish_with<T: Task>(&self, task: T, options: TaskOptions) -> MessageId {
        let tenant = task.tenant();
        let write = async {
            let mut unit_of_work = self.kit.begin_root(&tenant).await;
            let id = unit_of_work.outbox().publish(task, options).await?;
            Ok((id, unit_of_work.commit().await))
        };
        committed(write.await, &T::contract_name())
    }

    /// Runs everything until nothing is left to do; the clock jumps to whatever is due next.
    ///
    /// # Panics
    /// When it does not come to rest, saying what still waits, or when what was declared does not fit together.
    pub async fn run_until_idle(&self) {
        if let Err(busy) = self.try_run_until_idle().await {
            panic!("{busy}");
        }
    }

    /// The same, for a test of what does not come to rest.
    ///
    /// # Errors
    /// A handler took longer than the [patience](Self::patience), or the clock jumped 1000 times and there was still more to
    /// come.
    ///
    /// # Panics
    /// When what was declared does not fit together.
    pub async fn try_run_until_idle(&self) -> Result<(), StillBusy> {
        for jump in 0..=MOST_JUMPS {
            self.try_run_due().await?;
            let topics = self.start();
            let Some(due) = self.kit.store().next_due(&topics) else {
                return Ok(());
            };
            if jump < MOST_JUMPS {
                // The clock shows microseconds; what is due within one is due at its end.
                self.kit.services().clock.set(after(due, Duration::from_micros(1)));
            }
        }
        Err(StillBusy::of(
            self,
            &format!("the clock jumped {MOST_JUMPS} times and there is still more to come"),
        ))
    }

    /// Runs what is due now; the clock stays where it is.
    ///
    /// # Panics
    /// As [`run_until_idle`](Self::run_until_idle).
    pub async fn run_due(&self) {
        if let Err(busy) = self.try_run_due().await {
            panic!("{busy}");
        }
    }

    /// Moves the clock forward, and runs what is due then.
    ///
    /// # Panics
    /// As [`run_until_idle`](Self::run_until_idle).
    pub async fn advance(&self, by: Duration) {
        let clock = &self.kit.services().clock;
        clock.set(after(self.kit.now(), by));
        self.run_due().await;
    }

    async fn try_run_due(&self) -> Result<(), StillBusy> {
        let topics = self.start();
        let open = self.kit.gated().open();
        let rested = timeout(self.patience, self.kit.store().until_at_rest(&topics)).await;
        drop(open);
        rested.map_err(|_| StillBusy::of(self, &format!("it was not at rest after {:?}", self.patience)))
    }

    /// Starts the engine, if it is not. Answers the topics that have a worker.
    fn start(&self) -> BTreeSet<TopicName> {
        let mut declared = self.declared();
        if let Some(started) = &declared.started {
            return started.topics.clone();
        }
        let routes = std::mem::take(&mut declared.routes);
        let topics = std::mem::take(&mut declared.topics);
        let engine = Engine::new(self.ports(), options(), &declared.catalogue, routes, topics);
        let engine = match engine {
            Ok(engine) => engine,
            Err(error) => {
                drop(declared);
                panic!("the application does not start:\n{error}");
            }
        };
        let mut topics: BTreeSet<TopicName> = engine.topic_names().into_iter().collect();
        topics.insert(DOMAIN_EVENTS_TOPIC);
        let threads = Arc::new(Threads::default());
        let health = Health::new(self.kit.services().clock_port());
        declared.started = Some(Started {
            topics: topics.clone(),
            _engine: engine.start_on(&health, Arc::<Threads>::clone(&threads)),
            threads,
        });
        topics
    }

    fn ports(&self) -> EnginePorts {
        let (services, store) = (self.kit.services(), self.kit.store());
        EnginePorts {
            outbox: Arc::new(self.kit.gated().clone()),
            outbox_transfer: None,
            queue_publisher: self.kit.queue_publisher(),
            queue_consumer: Arc::new(self.kit.gated().clone()),
            queue_maintenance: Arc::new(store.clone()),
            event_log: Arc::new(store.clone()),
            event_feed: None,
            inbox: Arc::new(store.clone()),
            dead_letters: Arc::new(store.clone()),
            dead_letter_operations: Arc::new(store.clone()),
            cancellations: Arc::new(store.clone()),
            pauses: Arc::new(store.clone()),
            bulk_runs: Arc::new(store.clone()),
            schedules: Arc::new(store.clone()),
            envelopes: services.envelopes.clone(),
            clock: services.clock_port(),
            randomness: services.randomness_port(),
        }
    }

    /// Ends the test: fails it when work or dead letters are left over, and names them.
    ///
    /// # Panics
    /// When there are.
    pub fn finish(self) {
        drop(self);
    }

    /// Ends the test with whatever is left over.
    pub fn leave_unfinished(mut self) {
        self.leaves = true;
    }

    fn declared(&self) -> MutexGuard<'_, Declared> {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for TestApplication {
    fn drop(&mut self) {
        if let Some(started) = &self.declared().started {
            started.threads.abort();
        }
        // A test that fails already has said what is wrong.
        if self.leaves || std::thread::panicking() {
            return;
        }
        let left = LeftOver::of(self);
        assert!(
            left.is_empty(),
            "left over at the end of the test:\n{left}\nrun_until_idle() runs it, take_dead_letters() takes dead \
             letters, leave_unfinished() leaves it"
        );
    }
}

/// Everything but what cannot be lost in memory.
fn options() -> EngineOptions {
    EngineOptions {
        roles: Roles {
            scheduler: false,
            maintenance: false,
            ..Roles::default()
        },
        ..EngineOptions::default()
    }
}

fn committed(written: Result<(MessageId, Result<(), CommitError>), WriteError>, what: &str) -> MessageId {
    match written {
        Ok((id, Ok(()))) => id,
        Ok((_, Err(error))) => panic!("{what} was not committed: {error}"),
        Err(error) => panic!("{what} was not written: {error}"),
    }
}

/// The loops and attempts of the application; they end with it.
#[derive(Default)]
struct Threads {
    running: Mutex<Vec<tokio::task::AbortHandle>>,
}

impl Threads {
    fn abort(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.iter().for_each(tokio::task::AbortHandle::abort);
    }
}

impl Spawner for Threads {
    #[expect(
        clippy::disallowed_methods,
        reason = "the application aborts them when it is dropped"
    )]
    fn spawn(&self, future: futures::future::BoxFuture<'static, ()>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|task| !task.is_finished());
        running.push(tokio::spawn(future).abort_handle());
    }
}
