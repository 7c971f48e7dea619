//! The one event of this application, and the one task that follows from it.

use aftercommit::domain::events::EventCatalogue;
use aftercommit::prelude::*;
use serde::{Deserialize, Serialize};

/// An aggregate took its step number `seq`.
#[derive(Serialize, Deserialize, DomainEvent)]
#[event(name = "StepTaken", version = 1, aggregate = "walk")]
pub(crate) struct StepTaken {
    pub(crate) organization_id: OrganizationId,
    pub(crate) project_id: ProjectId,
    #[aggregate_id]
    pub(crate) aggregate: i64,
    pub(crate) seq: i64,
}

/// Records it, in the order of the steps.
#[derive(Serialize, Deserialize, Task)]
#[task(topic = "steps", name = "record", version = 1, order_key = aggregate)]
pub(crate) struct RecordStep {
    pub(crate) organization_id: OrganizationId,
    pub(crate) project_id: ProjectId,
    pub(crate) aggregate: i64,
    pub(crate) seq: i64,
}

/// Few organizations with many aggregates each.
pub(crate) fn tenant_of(aggregate: i64) -> Tenant {
    Tenant::project(aggregate % 4 + 1, 1)
}

impl StepTaken {
    pub(crate) fn new(aggregate: i64, seq: i64) -> Self {
        Self {
            organization_id: (aggregate % 4 + 1).into(),
            project_id: 1.into(),
            aggregate,
            seq,
        }
    }
}

pub(crate) fn events() -> EventCatalogue {
    catalogue![StepTaken]
}

pub(crate) fn routes() -> Routes {
    Routes::new().on(|step: &StepTaken| {
        publish(RecordStep {
            organization_id: step.organization_id.clone(),
            project_id: step.project_id.clone(),
            aggregate: step.aggregate,
            seq: step.seq,
        })
    })
}
