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

/// What follows from each event of the product.
pub fn routes() -> Routes {
    Routes::new()
        .none::<OrganizationCreated>("kept for the event log; its default project has an event of its own")
        .none::<UserSignedUp>("kept for the event log; nothing greets a person but the link they followed")
        .none::<MemberJoined>("kept for the event log; the member is there by the time it is told")
        .none::<ApiKeyCreated>("kept for the event log as the audit of who can call")
        .none::<ApiKeyRevoked>("kept for the event log; the key stopped working with the commit")
        .on(|event: &ProjectCreated| publish(ProvisionProject::from(event)))
        .on(|event: &ProjectDeleted| publish(PurgeRecords::from(event)))
        .on(|event: &InvitationCreated| publish(ExpireInvitation::from(event)).run_at(event.expires_at))
        .on(|event: &InvitationEmailRequested| publish(SendInvitationEmail::from(event)))
        .none::<InvitationExpired>("the expiry was recorded where it was decided")
        .on(|event: &MagicLinkEmailRequested| publish(SendMagicLinkEmail::from(event)).deadline(event.expires_at))
        .on(|event: &RecordsIngested| {
            (
                publish(CheckFirstRecord::from(event)),
                publish(RecordUsage::from(event)),
            )
        })
        .none::<FirstRecordReceived>("kept for the event log; the project was marked with it")
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
