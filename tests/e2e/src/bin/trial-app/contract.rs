//! A trial is ordered, runs, and takes effect.

use aftercommit::domain::events::EventCatalogue;
use aftercommit::prelude::*;
use aftercommit_e2e::trial::{Behaviour, organization_of};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, DomainEvent)]
#[event(name = "TrialOrdered", version = 1, aggregate = "trial")]
pub(crate) struct TrialOrdered {
    pub(crate) organization_id: OrganizationId,
    pub(crate) project_id: ProjectId,
    #[aggregate_id]
    pub(crate) trial: u32,
    pub(crate) behaviour: Behaviour,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "trials", name = "run", version = 1)]
pub(crate) struct RunTrial {
    pub(crate) organization_id: OrganizationId,
    pub(crate) project_id: ProjectId,
    pub(crate) trial: u32,
    pub(crate) behaviour: Behaviour,
}

/// Has no effect but its run.
#[derive(Serialize, Deserialize, Task)]
#[task(topic = "refreshes", name = "refresh", version = 1)]
pub(crate) struct Refresh {
    pub(crate) organization_id: OrganizationId,
    pub(crate) project_id: ProjectId,
    pub(crate) number: u32,
}

/// The effect of a trial, which every provider keeps in its event log.
#[derive(Serialize, Deserialize, DomainEvent)]
#[event(name = "TrialTookEffect", version = 1, aggregate = "trial")]
pub(crate) struct TrialTookEffect {
    pub(crate) organization_id: OrganizationId,
    pub(crate) project_id: ProjectId,
    #[aggregate_id]
    pub(crate) trial: u32,
}

pub(crate) fn tenant_of(trial: u32) -> Tenant {
    Tenant::project(organization_of(trial), 1)
}

pub(crate) fn events() -> EventCatalogue {
    catalogue![TrialOrdered, TrialTookEffect]
}

pub(crate) fn routes() -> Routes {
    Routes::new()
        .on(|ordered: &TrialOrdered| {
            publish(RunTrial {
                organization_id: ordered.organization_id.clone(),
                project_id: ordered.project_id.clone(),
                trial: ordered.trial,
                behaviour: ordered.behaviour,
            })
        })
        .none::<TrialTookEffect>("it is the effect itself")
}
