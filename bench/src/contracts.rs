//! The event and the tasks that the workloads send.

use aftercommit::prelude::*;
use serde::{Deserialize, Serialize};

/// Something happened; one task follows.
#[derive(Clone, Serialize, Deserialize, DomainEvent)]
#[event(name = "BenchHappened", version = 1, aggregate = "bench")]
pub(crate) struct BenchHappened {
    pub(crate) organization_id: OrganizationId,
    pub(crate) project_id: ProjectId,
    #[aggregate_id]
    pub(crate) entity: u64,
    pub(crate) number: u64,
}

/// Does nothing.
#[derive(Clone, Serialize, Deserialize, Task)]
#[task(topic = "bench", name = "noop", version = 1)]
pub(crate) struct Noop {
    pub(crate) organization_id: OrganizationId,
    pub(crate) project_id: ProjectId,
    pub(crate) number: u64,
}

impl Noop {
    pub(crate) fn number(number: u64) -> Self {
        Self {
            organization_id: 7_i64.into(),
            project_id: 8_i64.into(),
            number,
        }
    }
}

impl BenchHappened {
    /// The events of a producer are about its own aggregates.
    pub(crate) fn number(producer: u64, number: u64) -> Self {
        Self {
            organization_id: 7_i64.into(),
            project_id: 8_i64.into(),
            entity: producer * 1000 + number % 100,
            number,
        }
    }
}

pub(crate) fn tenant() -> Tenant {
    Tenant::project(7_i64, 8_i64)
}

pub(crate) fn routes() -> Routes {
    Routes::new().on(|event: &BenchHappened| publish(Noop::number(event.number)))
}
