//! Events and tasks of a parcel service, and what follows from what.

use aftercommit_domain::catalogue;
use aftercommit_domain::contract::{OrganizationId, ProjectId, Sealed, UpcastError};
use aftercommit_domain::events::{DomainEvent, EventCatalogue, Routes, publish};
use aftercommit_domain::tasks::{Task, TaskHandler};
use aftercommit_runtime::worker::Topic;
use serde::{Deserialize, Serialize};

/// Leads to a delivery and a letter.
#[derive(Debug, Serialize, Deserialize, DomainEvent)]
#[event(name = "ParcelSent", version = 1, aggregate = "parcel")]
pub(crate) struct ParcelSent {
    pub(crate) organization_id: OrganizationId,
    pub(crate) project_id: ProjectId,
    #[aggregate_id]
    pub(crate) parcel_id: i64,
    pub(crate) number: u32,
}

/// Leads to nothing.
#[derive(Debug, Serialize, Deserialize, DomainEvent)]
#[event(name = "ParcelSeen", version = 2, aggregate = "parcel", upcast = seen_of_version_1)]
pub(crate) struct ParcelSeen {
    pub(crate) organization_id: OrganizationId,
    pub(crate) project_id: ProjectId,
    #[aggregate_id]
    pub(crate) parcel_id: i64,
}

/// Refuses what has no `parcel`, and panics at one that is negative.
fn seen_of_version_1(from: u16, mut payload: serde_json::Value) -> Result<serde_json::Value, UpcastError> {
    let parcel = payload.get("parcel").and_then(serde_json::Value::as_i64);
    let Some(parcel) = parcel else {
        let reason = "it has no parcel".into();
        return Err(UpcastError { from, reason });
    };
    assert!(parcel >= 0, "a bug in an upcaster");
    payload["parcel_id"] = parcel.into();
    Ok(payload)
}

/// Leads to a letter with a secret.
#[derive(Debug, Serialize, Deserialize, DomainEvent)]
#[event(name = "PinIssued", version = 1, aggregate = "parcel")]
pub(crate) struct PinIssued {
    pub(crate) organization_id: OrganizationId,
    pub(crate) project_id: ProjectId,
    #[aggregate_id]
    pub(crate) parcel_id: i64,
    pub(crate) pin: Sealed<String>,
}

/// Leads to a delivery, and to a letter that may be missing.
#[derive(Debug, Serialize, Deserialize, DomainEvent)]
#[event(name = "ParcelFound", version = 1, aggregate = "parcel")]
pub(crate) struct ParcelFound {
    pub(crate) organization_id: OrganizationId,
    pub(crate) project_id: ProjectId,
    #[aggregate_id]
    pub(crate) parcel_id: i64,
}

/// Delivers a parcel, in the order of its events; three attempts.
#[derive(Debug, Serialize, Deserialize, Task)]
#[task(topic = "deliveries", name = "deliver", version = 1, order_key = parcel_id, max_attempts = 3)]
pub(crate) struct Deliver {
    pub(crate) organization_id: OrganizationId,
    pub(crate) project_id: ProjectId,
    pub(crate) parcel_id: i64,
    pub(crate) number: u32,
}

#[derive(Debug, Serialize, Deserialize, Task)]
#[task(topic = "letters", name = "announce", version = 1)]
pub(crate) struct Announce {
    pub(crate) organization_id: OrganizationId,
    pub(crate) project_id: ProjectId,
    pub(crate) parcel_id: i64,
}

#[derive(Debug, Serialize, Deserialize, Task)]
#[task(topic = "letters", name = "send-pin", version = 1)]
pub(crate) struct SendPin {
    pub(crate) organization_id: OrganizationId,
    pub(crate) project_id: ProjectId,
    pub(crate) parcel_id: i64,
    pub(crate) pin: Sealed<String>,
}

pub(crate) fn catalogue() -> EventCatalogue {
    catalogue![ParcelSent, ParcelSeen, ParcelFound, PinIssued]
}

pub(crate) fn routes() -> Routes {
    Routes::new()
        .on(|event: &ParcelSent| {
            (
                publish(Deliver {
                    organization_id: event.organization_id.clone(),
                    project_id: event.project_id.clone(),
                    parcel_id: event.parcel_id,
                    number: event.number,
                }),
                publish(Announce {
                    organization_id: event.organization_id.clone(),
                    project_id: event.project_id.clone(),
                    parcel_id: event.parcel_id,
                }),
            )
        })
        .on(|event: &PinIssued| {
            publish(SendPin {
                organization_id: event.organization_id.clone(),
                project_id: event.project_id.clone(),
                parcel_id: event.parcel_id,
                pin: Sealed::new(event.pin.expose().clone()),
            })
        })
        .on(|event: &ParcelFound| {
            (
                publish(announce(event.parcel_id)).best_effort(),
                publish(deliver(event.parcel_id)),
            )
        })
        .none::<ParcelSeen>("kept for the event log only")
}

pub(crate) fn parcel_sent(parcel_id: i64, number: u32) -> ParcelSent {
    ParcelSent {
        organization_id: 1.into(),
        project_id: 10.into(),
        parcel_id,
        number,
    }
}

pub(crate) fn deliver(parcel_id: i64) -> Deliver {
    Deliver {
        organization_id: 1.into(),
        project_id: 10.into(),
        parcel_id,
        number: 1,
    }
}

pub(crate) fn announce(parcel_id: i64) -> Announce {
    Announce {
        organization_id: 1.into(),
        project_id: 10.into(),
        parcel_id,
    }
}

/// A topic with this handler of [`Deliver`].
pub(crate) fn deliveries(handler: impl TaskHandler<Deliver>) -> Topic {
    Topic::named("deliveries").handle::<Deliver>(handler)
}
