//! The events and tasks of a world: orders that change, and what follows from each change.

use aftercommit_domain::catalogue;
use aftercommit_domain::contract::{OrganizationId, ProjectId, Tenant};
use aftercommit_domain::events::{DomainEvent, EventCatalogue, Routes, publish};
use aftercommit_domain::tasks::Task;
use serde::{Deserialize, Serialize};

use crate::plan::Plan;

/// One change of one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Change {
    /// Two organizations have orders of the same ids.
    pub(crate) organization: i64,
    pub(crate) order: u32,
    pub(crate) number: u32,
}

impl Change {
    pub(crate) fn tenant(self) -> Tenant {
        Tenant::project(self.organization, 1_i64)
    }
}

/// What is done about a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Work {
    /// Follows from the event, in order.
    Record,
    /// Follows from the event, in any order.
    Mail,
    /// Written as a task, in order.
    Job,
    /// Follows from the event that `Record` wrote, in order.
    Note,
}

impl Work {
    pub(crate) const ALL: [Self; 4] = [Self::Record, Self::Mail, Self::Job, Self::Note];

    pub(crate) const fn keeps_order(self) -> bool {
        !matches!(self, Self::Mail)
    }
}

/// A task of this world: what is done about which change, and how that goes.
pub(crate) trait Errand: Task {
    const WORK: Work;

    fn change(&self) -> Change;

    fn plan(&self) -> Plan;

    /// Whether it writes an event in its turn.
    fn follow(&self) -> Option<Plan> {
        None
    }
}

#[derive(Debug, Serialize, Deserialize, DomainEvent)]
#[event(name = "OrderChanged", version = 1, aggregate = "order")]
pub(crate) struct OrderChanged {
    pub(crate) organization_id: OrganizationId,
    pub(crate) project_id: ProjectId,
    #[aggregate_id]
    pub(crate) order: u32,
    pub(crate) number: u32,
    pub(crate) record: u16,
    pub(crate) mail: u16,
    pub(crate) note: Option<u16>,
}

#[derive(Debug, Serialize, Deserialize, DomainEvent)]
#[event(name = "ChangeRecorded", version = 1, aggregate = "record")]
pub(crate) struct ChangeRecorded {
    pub(crate) organization_id: OrganizationId,
    pub(crate) project_id: ProjectId,
    #[aggregate_id]
    pub(crate) order: u32,
    pub(crate) number: u32,
    pub(crate) note: u16,
}

#[derive(Debug, Serialize, Deserialize, Task)]
#[task(topic = "records", name = "record", version = 1, order_key = order)]
pub(crate) struct RecordChange {
    pub(crate) organization_id: OrganizationId,
    pub(crate) project_id: ProjectId,
    pub(crate) order: u32,
    pub(crate) number: u32,
    pub(crate) plan: u16,
    pub(crate) note: Option<u16>,
}

#[derive(Debug, Serialize, Deserialize, Task)]
#[task(topic = "mails", name = "send", version = 1)]
pub(crate) struct MailChange {
    pub(crate) organization_id: OrganizationId,
    pub(crate) project_id: ProjectId,
    pub(crate) order: u32,
    pub(crate) number: u32,
    pub(crate) plan: u16,
}

#[derive(Debug, Serialize, Deserialize, Task)]
#[task(topic = "jobs", name = "run", version = 1, order_key = order)]
pub(crate) struct RunJob {
    pub(crate) organization_id: OrganizationId,
    pub(crate) project_id: ProjectId,
    pub(crate) order: u32,
    pub(crate) number: u32,
    pub(crate) plan: u16,
}

#[derive(Debug, Serialize, Deserialize, Task)]
#[task(topic = "notes", name = "write", version = 1, order_key = order)]
pub(crate) struct WriteNote {
    pub(crate) organization_id: OrganizationId,
    pub(crate) project_id: ProjectId,
    pub(crate) order: u32,
    pub(crate) number: u32,
    pub(crate) plan: u16,
}

macro_rules! errand {
    ($task:ident, $work:ident $(, $follow:ident)?) => {
        impl Errand for $task {
            const WORK: Work = Work::$work;

            fn change(&self) -> Change {
                Change {
                    organization: self.organization_id.as_str().parse().unwrap_or_default(),
                    order: self.order,
                    number: self.number,
                }
            }

            fn plan(&self) -> Plan {
                Plan::from_code(self.plan)
            }

            $(fn follow(&self) -> Option<Plan> {
                self.$follow.map(Plan::from_code)
            })?
        }
    };
}

errand!(RecordChange, Record, note);
errand!(MailChange, Mail);
errand!(RunJob, Job);
errand!(WriteNote, Note);

pub(crate) fn events() -> EventCatalogue {
    catalogue![OrderChanged, ChangeRecorded]
}

pub(crate) fn routes() -> Routes {
    Routes::new()
        .on(|event: &OrderChanged| {
            let record = publish(RecordChange {
                organization_id: event.organization_id.clone(),
                project_id: event.project_id.clone(),
                order: event.order,
                number: event.number,
                plan: event.record,
                note: event.note,
            });
            let mail = publish(MailChange {
                organization_id: event.organization_id.clone(),
                project_id: event.project_id.clone(),
                order: event.order,
                number: event.number,
                plan: event.mail,
            });
            (record, mail)
        })
        .on(|event: &ChangeRecorded| {
            publish(WriteNote {
                organization_id: event.organization_id.clone(),
                project_id: event.project_id.clone(),
                order: event.order,
                number: event.number,
                plan: event.note,
            })
        })
}
