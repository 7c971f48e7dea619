//! What the code under test uses.

use std::sync::Arc;

use aftercommit_domain::contract::{Cause, EnvelopeFactory, Tenant};
use aftercommit_domain::events::{EventsPublisher, create_events_publisher};
use aftercommit_domain::ids::Ids;
use aftercommit_domain::randomness::Randomness;
use aftercommit_domain::tasks::QueuePublisher;
use aftercommit_domain::time::{Clock, Timestamp};
use aftercommit_domain::unit_of_work::{StoreError, UnitOfWork, UnitOfWorkFactory};

use crate::application::gate::Gated;
use crate::fakes::{ManualClock, TestServices};
use crate::memory::InMemory;

/// What an application's own code uses, in memory; named as in the kit of a process. Cheap to clone.
#[derive(Clone)]
pub struct TestKit {
    services: TestServices,
    gated: Gated,
}

impl TestKit {
    pub(super) const fn new(services: TestServices, gated: Gated) -> Self {
        Self { services, gated }
    }

    /// Begins a unit of work of `tenant`, because of `cause`.
    pub async fn begin(&self, tenant: &Tenant, cause: &Cause) -> Result<Box<dyn UnitOfWork>, StoreError> {
        self.store().begin(tenant, cause).await
    }

    /// Begins units of work.
    pub fn units_of_work(&self) -> Arc<dyn UnitOfWorkFactory> {
        Arc::new(self.store().clone())
    }

    /// The direct rail: events whose upstream write is already durable.
    pub fn events_publisher(&self) -> Arc<dyn EventsPublisher> {
        create_events_publisher(self.queue_publisher(), *self.envelopes().codec().limits())
    }

    /// Publishes tasks outside any transaction.
    pub fn queue_publisher(&self) -> Arc<dyn QueuePublisher> {
        Arc::new(self.gated.clone())
    }

    /// Makes envelopes.
    pub const fn envelopes(&self) -> &EnvelopeFactory {
        &self.services.envelopes
    }

    /// The clock, as its port.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.services.clock_port()
    }

    /// The clock, to move it. Work that becomes due by that runs when the application is run.
    pub const fn manual_clock(&self) -> &ManualClock {
        &self.services.clock
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        self.services.clock.now()
    }

    /// New ids.
    pub fn ids(&self) -> Arc<dyn Ids> {
        self.services.ids_port()
    }

    /// Randomness for tokens and keys; the same in every run.
    pub fn randomness(&self) -> Arc<dyn Randomness> {
        self.services.randomness_port()
    }

    /// The provider behind all of it, for what is not here.
    pub const fn store(&self) -> &InMemory {
        &self.gated.store
    }

    pub(super) const fn services(&self) -> &TestServices {
        &self.services
    }

    pub(super) const fn gated(&self) -> &Gated {
        &self.gated
    }

    /// A unit of work with nothing before it. In memory that cannot fail.
    pub(super) async fn begin_root(&self, tenant: &Tenant) -> Box<dyn UnitOfWork> {
        match self.begin(tenant, &Cause::root()).await {
            Ok(unit_of_work) => unit_of_work,
            Err(error) => panic!("no unit of work: {error}"),
        }
    }
}
