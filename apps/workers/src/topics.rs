//! The topics this package owns.

use aftercommit_domain::reference::identity::SendMagicLinkEmail;
use aftercommit_domain::reference::invitations::{ExpireInvitation, SendInvitationEmail};
use aftercommit_domain::reference::projects::{CheckFirstRecord, ProvisionProject};
use aftercommit_domain::reference::records::PurgeRecords;
use aftercommit_domain::reference::usage::RecordUsage;
use aftercommit_domain::reference::webhooks::{DeliverWebhook, FanOutWebhooks};
use aftercommit_runtime::worker::Topic;

use crate::HandlerPorts;
use crate::handlers::{
    CheckFirstRecordHandler, DeliverWebhookHandler, ExpireInvitationHandler, FanOutWebhooksHandler,
    ProvisionProjectHandler, PurgeRecordsHandler, RecordUsageHandler, SendInvitationEmailHandler,
    SendMagicLinkEmailHandler,
};

/// Every topic of the product with the handlers of its tasks.
pub fn topics(ports: HandlerPorts) -> Vec<Topic> {
    let HandlerPorts {
        reference,
        email,
        webhooks,
        templates,
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
        Topic::named("records").handle::<PurgeRecords>(PurgeRecordsHandler::new(reference.clone())),
        Topic::named("usage").handle::<RecordUsage>(RecordUsageHandler::new(reference.clone())),
        Topic::named("webhooks")
            .handle::<FanOutWebhooks>(FanOutWebhooksHandler::new(reference.clone()))
            .handle::<DeliverWebhook>(DeliverWebhookHandler::new(reference, webhooks)),
    ]
}
