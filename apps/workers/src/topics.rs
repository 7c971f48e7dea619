//! The topics this package owns.

use aftercommit_domain::reference::identity::SendMagicLinkEmail;
use aftercommit_domain::reference::invitations::{ExpireInvitation, SendInvitationEmail};
use aftercommit_domain::reference::projects::{CheckFirstRecord, ProvisionProject};
use aftercommit_domain::reference::records::{FanOutRecords, PurgeRecords, SettleRecord};
use aftercommit_domain::reference::search::{PurgeSearchIndex, RefreshSearchIndex};
use aftercommit_domain::reference::usage::RecordUsage;
use aftercommit_runtime::worker::Topic;

use crate::HandlerPorts;
use crate::handlers::{
    CheckFirstRecordHandler, ExpireInvitationHandler, FanOutRecordsHandler, ProvisionProjectHandler,
    PurgeRecordsHandler, PurgeSearchIndexHandler, RecordUsageHandler, RefreshSearchIndexHandler,
    SendInvitationEmailHandler, SendMagicLinkEmailHandler, SettleRecordHandler,
};

/// Every topic of the product with the handlers of its tasks.
pub fn topics(ports: HandlerPorts) -> Vec<Topic> {
    let HandlerPorts {
        reference,
        email,
        templates,
        rails,
    } = ports;
    vec![
        Topic::named("invitation-email").handle::<SendInvitationEmail>(SendInvitationEmailHandler::new(
            reference.clone(),
            email.clone(),
            templates.clone(),
        )),
        Topic::named("magic-link-email").handle::<SendMagicLinkEmail>(SendMagicLinkEmailHandler::new(
            reference.clone(),
            email,
            templates,
        )),
        Topic::named("invitations").handle::<ExpireInvitation>(ExpireInvitationHandler::new(reference.clone())),
        Topic::named("projects")
            .handle::<ProvisionProject>(ProvisionProjectHandler::new(reference.clone()))
            .handle::<CheckFirstRecord>(CheckFirstRecordHandler::new(reference.clone())),
        Topic::named("records")
            .handle::<FanOutRecords>(FanOutRecordsHandler::new(reference.clone(), rails.clone()))
            .handle::<SettleRecord>(SettleRecordHandler::new(reference.clone(), rails))
            .handle::<PurgeRecords>(PurgeRecordsHandler::new(reference.clone())),
        Topic::named("search-index")
            .handle::<RefreshSearchIndex>(RefreshSearchIndexHandler::new(reference.clone()))
            .handle::<PurgeSearchIndex>(PurgeSearchIndexHandler::new(reference.clone())),
        Topic::named("usage").handle::<RecordUsage>(RecordUsageHandler::new(reference)),
    ]
}
