//! What follows from each event of the product.

use std::time::Duration;

use crate::events::{Publish, Routes, publish};
use crate::reference::ProductPace;
use crate::reference::billing::ReportOverage;
use crate::reference::digests::DigestGenerated;
use crate::reference::exports::{
    EXPORT_SETTLED_AFTER, ExportCancelled, ExportCompleted, ExportFailed, PurgeExports, SweepExport,
};
use crate::reference::identity::{
    ApiKeyCreated, ApiKeyRevoked, MagicLinkEmailRequested, MemberJoined, MemberLeft, MemberRestored,
    SendMagicLinkEmail, UserDeleted, UserDeletionRequested, UserSignedUp,
};
use crate::reference::incidents::{EvaluateRecord, IncidentClosed, IncidentOpened};
use crate::reference::invitations::{
    ExpireInvitation, InvitationCreated, InvitationEmailRequested, InvitationExpired, InvitationProlonged,
    SendInvitationEmail,
};
use crate::reference::notifications::{
    DeleteNotifications, NotificationCreated, RequestDigestNotifications, RequestIncidentNotifications,
    SendNotificationEmail,
};
use crate::reference::organizations::OrganizationCreated;
use crate::reference::projects::{
    CheckFirstRecord, FirstRecordReceived, ProjectCreated, ProjectDeleted, ProvisionProject,
};
use crate::reference::records::{FanOutRecords, PurgeRecords, RecordSettled, RecordsIngested};
use crate::reference::search::{PurgeSearchIndex, RefreshSearchIndex};
use crate::reference::usage::{RecordUsage, UsagePeriodUpdated};
use crate::reference::webhooks::{
    FanOutWebhooks, WebhookEndpointCreated, WebhookEndpointDeleted, WebhookEndpointDisabled,
};
use crate::tasks::Coalescing;
use crate::time::{Timestamp, hours};

/// The task that tells webhooks of an event of a project.
macro_rules! told {
    ($event:ident, $occurrence:ident) => {
        FanOutWebhooks::of(&$event.organization_id, &$event.project_id, $occurrence, $event)
    };
}

/// For how long one look at a project's first record is enough. Only the first in the project's life finds something, and it is
/// tried again by itself until it does; a look that was given up is made good by the first batch after this time.
const FIRST_RECORD_LOOK: Duration = hours(1);

/// What follows from each event of the product, at its usual pace.
pub fn routes() -> Routes {
    routes_at(ProductPace::default())
}

/// What follows from each event of the product, at this pace.
pub fn routes_at(pace: ProductPace) -> Routes {
    Routes::new()
        .none::<OrganizationCreated>("kept for the event log; its default project has an event of its own")
        .none::<UserSignedUp>("kept for the event log; nothing greets a person but the link they followed")
        .on_occurrence(|event: &MemberJoined, occurrence| publish(told!(event, occurrence)))
        .none::<MemberLeft>("kept for the event log; webhooks belong to projects, and nobody left one")
        .none::<MemberRestored>("kept for the event log, beside what it takes back")
        .none::<UserDeletionRequested>("the workflow is started by the same transaction")
        .none::<UserDeleted>("kept for the event log: it is the audit of the deletion")
        .on_occurrence(|event: &ApiKeyCreated, occurrence| publish(told!(event, occurrence)))
        .on_occurrence(|event: &ApiKeyRevoked, occurrence| publish(told!(event, occurrence)))
        .on(|event: &ProjectCreated| publish(ProvisionProject::from(event)))
        .on_occurrence(|event: &ProjectDeleted, occurrence| {
            (
                publish(PurgeRecords::from(event)),
                publish(PurgeSearchIndex::from(event)),
                publish(DeleteNotifications::from(event)),
                publish(PurgeExports::from(event)),
                publish(told!(event, occurrence)),
            )
        })
        .on(|event: &InvitationCreated| expiry(event.into(), event.expires_at))
        .on(|event: &InvitationProlonged| expiry(event.into(), event.expires_at))
        .on(|event: &InvitationEmailRequested| publish(SendInvitationEmail::from(event)))
        .on_occurrence(|event: &InvitationExpired, occurrence| publish(told!(event, occurrence)))
        .on(|event: &MagicLinkEmailRequested| publish(SendMagicLinkEmail::from(event)).deadline(event.expires_at))
        .on(|event: &RecordsIngested| {
            (
                publish(FanOutRecords::from(event)),
                publish(CheckFirstRecord::from(event)).coalesce(Coalescing::once(&event.project_id, FIRST_RECORD_LOOK)),
                publish(RecordUsage::from(event)),
            )
        })
        .on(move |event: &RecordSettled| {
            (
                publish(RefreshSearchIndex::from(event))
                    .coalesce(Coalescing::latest_throttle(event.record_id, pace.search_refresh)),
                publish(EvaluateRecord::from(event)),
            )
        })
        .on_occurrence(|event: &IncidentOpened, occurrence| {
            (
                publish(RequestIncidentNotifications::from(event)),
                publish(told!(event, occurrence)),
            )
        })
        .on_occurrence(|event: &IncidentClosed, occurrence| {
            (
                publish(RequestIncidentNotifications::from(event)),
                publish(told!(event, occurrence)),
            )
        })
        .on(|event: &NotificationCreated| publish(SendNotificationEmail::from(event)))
        .on_occurrence(|event: &ExportCompleted, occurrence| (sweep(event.into()), publish(told!(event, occurrence))))
        .on_occurrence(|event: &ExportFailed, occurrence| (sweep(event.into()), publish(told!(event, occurrence))))
        .on(|event: &ExportCancelled| sweep(event.into()))
        .on(|event: &DigestGenerated| publish(RequestDigestNotifications::from(event)))
        .on(move |event: &UsagePeriodUpdated| {
            publish(ReportOverage::from(event)).coalesce(Coalescing::latest_throttle(event.month, pace.overage_report))
        })
        .on_occurrence(|event: &FirstRecordReceived, occurrence| publish(told!(event, occurrence)))
        .none::<WebhookEndpointCreated>("kept for the event log as the audit of who is told")
        .none::<WebhookEndpointDeleted>("kept for the event log; nothing is sent to it after the commit")
        .none::<WebhookEndpointDisabled>("kept for the event log; the list of webhooks shows it with its reason")
}

/// One waiting task for each invitation, at its newest date.
fn expiry(task: ExpireInvitation, expires_at: Timestamp) -> Publish<ExpireInvitation> {
    let key = task.invitation_id;
    publish(task).run_at(expires_at).coalesce(Coalescing::replace(key))
}

/// What is left over is looked for when no worker adds to it any more.
fn sweep(task: SweepExport) -> Publish<SweepExport> {
    publish(task).delay(EXPORT_SETTLED_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::catalogue;

    #[test]
    fn every_event_has_a_route_and_every_route_an_event() {
        routes().check(&catalogue()).unwrap();
    }
}
