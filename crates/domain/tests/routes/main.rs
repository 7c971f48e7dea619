//! What follows from what: ids that survive redelivery, keys, order, and a table that is checked as a whole.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]
#![expect(clippy::struct_field_names, reason = "contracts carry ids")]

mod dispatches;
mod identity;
mod table;
#[path = "../support/test_sealer.rs"]
mod test_sealer;
mod workflows;

use std::sync::Arc;

use aftercommit_domain::contract::{
    Cause, Codec, EnvelopeFactory, EventEnvelope, Limits, OrganizationId, ProjectId, Sealed, TaskEnvelope,
};
use aftercommit_domain::events::{Dispatch, DomainEvent, Publish, RouteError, Routes, publish};
use aftercommit_domain::ids::{Ids, MessageId};
use aftercommit_domain::tasks::Task;
use aftercommit_domain::time::{Clock, Timestamp};
use serde::{Deserialize, Serialize};
use test_sealer::TestSealer;
use uuid::Uuid;

#[derive(Clone, Serialize, Deserialize, DomainEvent)]
#[event(name = "InvoicePaid", version = 1, aggregate = "invoice")]
struct InvoicePaid {
    organization_id: OrganizationId,
    project_id: ProjectId,
    #[aggregate_id]
    invoice_id: i64,
    watchers: Vec<i64>,
    address: Option<Sealed<String>>,
}

#[derive(Serialize, Deserialize, DomainEvent)]
#[event(name = "InvoiceViewed", version = 1, aggregate = "invoice")]
struct InvoiceViewed {
    organization_id: OrganizationId,
    project_id: ProjectId,
    #[aggregate_id]
    invoice_id: i64,
}

#[derive(Serialize, Deserialize, DomainEvent)]
#[event(name = "InvoiceVoided", version = 1, aggregate = "invoice")]
struct InvoiceVoided {
    organization_id: OrganizationId,
    project_id: ProjectId,
    #[aggregate_id]
    invoice_id: i64,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send", version = 1, order_key = invoice_id)]
struct SendReceipt {
    organization_id: OrganizationId,
    project_id: ProjectId,
    invoice_id: i64,
    address: Option<Sealed<String>>,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "watchers", name = "notify", version = 1)]
struct NotifyWatcher {
    organization_id: OrganizationId,
    project_id: ProjectId,
    watcher: i64,
}

impl From<&InvoicePaid> for SendReceipt {
    fn from(event: &InvoicePaid) -> Self {
        Self {
            organization_id: event.organization_id.clone(),
            project_id: event.project_id.clone(),
            invoice_id: event.invoice_id,
            address: event.address.clone(),
        }
    }
}

impl NotifyWatcher {
    fn of(event: &InvoicePaid, watcher: i64) -> Self {
        Self {
            organization_id: event.organization_id.clone(),
            project_id: event.project_id.clone(),
            watcher,
        }
    }
}

fn notify_each(event: &InvoicePaid) -> Vec<Publish<NotifyWatcher>> {
    event
        .watchers
        .iter()
        .map(|watcher| publish(NotifyWatcher::of(event, *watcher)).key(watcher))
        .collect()
}

fn paid(watchers: &[i64]) -> InvoicePaid {
    InvoicePaid {
        organization_id: 7.into(),
        project_id: 8.into(),
        invoice_id: 9,
        watchers: watchers.to_vec(),
        address: None,
    }
}

fn viewed() -> InvoiceViewed {
    InvoiceViewed {
        organization_id: 7.into(),
        project_id: 8.into(),
        invoice_id: 9,
    }
}

fn enveloped<E: DomainEvent>(event: &E) -> EventEnvelope {
    enveloped_as(1, event)
}

fn enveloped_as<E: DomainEvent>(id: u128, event: &E) -> EventEnvelope {
    factory()
        .event(Uuid::from_u128(id).into(), event, &Cause::root())
        .unwrap()
}

fn dispatched(routes: &Routes, event: &EventEnvelope) -> Result<Vec<(MessageId, Dispatch)>, RouteError> {
    routes.dispatch(event, factory().codec())
}

fn ids(routes: &Routes, event: &EventEnvelope) -> Vec<String> {
    dispatched(routes, event)
        .unwrap()
        .iter()
        .map(|(id, _)| id.to_string())
        .collect()
}

fn tasks(routes: &Routes, event: &EventEnvelope) -> Vec<TaskEnvelope> {
    let dispatches = dispatched(routes, event).unwrap();
    let envelope = |(id, dispatch): &(MessageId, Dispatch)| dispatch.envelope(&factory(), *id, event).unwrap();
    dispatches.iter().map(envelope).collect()
}

fn factory() -> EnvelopeFactory {
    let codec = Codec::new(Arc::new(TestSealer::new("k1")), Limits::default());
    EnvelopeFactory::new(codec, Arc::new(NoIds), Arc::new(NewYear), "/shop")
}

/// Dispatches derive their ids; they never ask for one.
struct NoIds;

impl Ids for NoIds {
    fn next(&self) -> Uuid {
        panic!("a dispatch asked for a new id")
    }
}

struct NewYear;

impl Clock for NewYear {
    fn now(&self) -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }
}
