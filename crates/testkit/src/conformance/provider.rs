//! What a provider shows to the suites.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::bulk::BulkRuns;
use aftercommit_domain::contract::TopicName;
use aftercommit_domain::events::{EventLog, Outbox, OutboxTransfer};
use aftercommit_domain::lineage::Lineage;
use aftercommit_domain::tasks::{
    DeadLetterOperations, DeadLetters, HeldTasks, InboxMaintenance, QueueConsumer, QueueMaintenance, QueuePublisher,
    Schedules, TaskCancellations, TaskHistory, TaskInspector, TaskPauses,
};
use aftercommit_domain::unit_of_work::UnitOfWorkFactory;

use crate::fakes::{ManualClock, TestServices};

/// A provider as the suites see it: a running store of its own, and the ports over it.
///
/// All ports answer over one store. Its time, ids and limits are those of [`services`](Self::services): leases, delays
/// and retries are compared with that clock, so that a scenario moves time instead of waiting.
#[expect(
    async_fn_in_trait,
    reason = "a scenario runs on the thread it was started on; nothing sends these futures"
)]
pub trait Provider: Sized + Sync + 'static {
    /// Whether two transactions can be open at once. A store with one writer says `false`; the scenarios then do not
    /// open a second transaction, or claim, while one is open.
    const CONCURRENT_TRANSACTIONS: bool = true;

    /// Whether lost tasks come back by `rescue_expired`. A broker that gives them back by itself says `false`, and its
    /// rescue answers zero.
    const RESCUES_TASKS: bool = true;

    /// Whether its history keeps successes. The suites do not look at one that samples.
    const RECORDS_SUCCESSES: bool = true;

    /// How many random walks over the policies of coalescing are compared with the model.
    const COALESCING_SEEDS: u64 = 27;

    /// Starts one with an empty store.
    async fn start() -> Self;

    /// What it was started with.
    fn services(&self) -> &TestServices;

    /// Begins transactions.
    fn units_of_work(&self) -> Arc<dyn UnitOfWorkFactory>;

    /// Forgets old claims.
    fn inbox_maintenance(&self) -> Arc<dyn InboxMaintenance>;

    /// The relay's side of the outbox.
    fn outbox(&self) -> Arc<dyn Outbox>;

    /// The shorter way from outbox to queue; `None` where the provider offers none.
    fn outbox_transfer(&self) -> Option<Arc<dyn OutboxTransfer>> {
        None
    }

    /// The event log.
    fn event_log(&self) -> Arc<dyn EventLog>;

    /// Puts tasks on topics.
    fn queue_publisher(&self) -> Arc<dyn QueuePublisher>;

    /// Takes tasks from topics.
    fn queue_consumer(&self) -> Arc<dyn QueueConsumer>;

    /// Keeps the queue tidy.
    fn queue_maintenance(&self) -> Arc<dyn QueueMaintenance>;

    /// The dead letters.
    fn dead_letters(&self) -> Arc<dyn DeadLetters>;

    /// What operators do with dead letters.
    fn dead_letter_operations(&self) -> Arc<dyn DeadLetterOperations>;

    /// Keeps what operators order for many. `None` where the provider offers none.
    fn bulk_runs(&self) -> Option<Arc<dyn BulkRuns>> {
        None
    }

    /// Keeps schedules. `None` where the provider offers none.
    fn schedules(&self) -> Option<Arc<dyn Schedules>> {
        None
    }

    /// Which tasks are not to be run any more.
    fn cancellations(&self) -> Arc<dyn TaskCancellations>;

    /// What is paused.
    fn pauses(&self) -> Arc<dyn TaskPauses>;

    /// Looks at tasks.
    fn task_inspector(&self) -> Arc<dyn TaskInspector>;

    /// Finds messages that belong together.
    fn lineage(&self) -> Arc<dyn Lineage>;

    /// Holds what a broker's queue cannot; the provider's own consumers run it. `None` where the provider offers none.
    fn held_tasks(&self) -> Option<Arc<dyn HeldTasks>> {
        None
    }

    /// Records how tasks of a broker's queue ended. `None` where the provider offers none.
    fn task_history(&self) -> Option<Arc<dyn TaskHistory>> {
        None
    }

    /// Puts bytes on a topic that are no envelope, past every check: what a foreign producer or a damaged disk could do.
    async fn publish_raw(&self, topic: &TopicName, body: &[u8]);

    /// The clock leases and delays are compared with; `None` when the store has its own.
    fn clock(&self) -> Option<ManualClock> {
        Some(self.services().clock.clone())
    }

    /// Lets time pass. Here it moves the clock of the services.
    ///
    /// Override it when more is needed: a provider that sleeps in real time until something is due must also be woken
    /// (or wake by itself within a few seconds), and a store with a clock of its own shortens what it stored — leases,
    /// due times — by `by`, and moves the services' clock along.
    async fn advance(&self, by: Duration) {
        self.services().clock.advance(by);
    }

    /// Stops it and removes its store.
    async fn stop(self);
}
