//! What follows from each event of the product.

use crate::events::{Routes, publish};
use crate::reference::identity::{
    ApiKeyCreated, ApiKeyRevoked, MagicLinkEmailRequested, MemberJoined, SendMagicLinkEmail, UserSignedUp,
};
use crate::reference::invitations::{
    ExpireInvitation, InvitationCreated, InvitationEmailRequested, InvitationExpired, SendInvitationEmail,
};
use crate::reference::organizations::OrganizationCreated;
use crate::reference::projects::{
    CheckFirstRecord, FirstRecordReceived, ProjectCreated, ProjectDeleted, ProvisionProject,
};
use crate::reference::records::{PurgeRecords, RecordsIngested};
use crate::reference::usage::RecordUsage;
use crate::reference::webhooks::{
    FanOutWebhooks, WebhookEndpointCreated, WebhookEndpointDeleted, WebhookEndpointDisabled,
};

/// The task that tells webhooks of an event of a project.
macro_rules! told {
    ($event:ident, $occurrence:ident) => {
        FanOutWebhooks::of(&$event.organization_id, &$event.project_id, $occurrence, $event)
    };
}

/// What follows from each event of the product.
pub fn routes() -> Routes {
    Routes::new()
        .none::<OrganizationCreated>("kept for the event log; its default project has an event of its own")
        .none::<UserSignedUp>("kept for the event log; nothing greets a person but the link they followed")
        .on_occurrence(|event: &MemberJoined, occurrence| publish(told!(event, occurrence)))
        .on_occurrence(|event: &ApiKeyCreated, occurrence| publish(told!(event, occurrence)))
        .on_occurrence(|event: &ApiKeyRevoked, occurrence| publish(told!(event, occurrence)))
        .on(|event: &ProjectCreated| publish(ProvisionProject::from(event)))
        .on_occurrence(|event: &ProjectDeleted, occurrence| {
            (publish(PurgeRecords::from(event)), publish(told!(event, occurrence)))
        })
        .on(|event: &InvitationCreated| publish(ExpireInvitation::from(event)).run_at(event.expires_at))
        .on(|event: &InvitationEmailRequested| publish(SendInvitationEmail::from(event)))
        .on_occurrence(|event: &InvitationExpired, occurrence| publish(told!(event, occurrence)))
        .on(|event: &MagicLinkEmailRequested| publish(SendMagicLinkEmail::from(event)).deadline(event.expires_at))
        .on(|event: &RecordsIngested| {
            (
                publish(CheckFirstRecord::from(event)),
                publish(RecordUsage::from(event)),
            )
        })
        .on_occurrence(|event: &FirstRecordReceived, occurrence| publish(told!(event, occurrence)))
        .none::<WebhookEndpointCreated>("kept for the event log as the audit of who is told")
        .none::<WebhookEndpointDeleted>("kept for the event log; nothing is sent to it after the commit")
        .none::<WebhookEndpointDisabled>("kept for the event log; the list of webhooks shows it with its reason")
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
