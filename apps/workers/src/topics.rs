//! The topics this package owns.

use std::sync::Arc;

use aftercommit_domain::reference::ReferencePorts;
use aftercommit_domain::reference::billing::{BillingProvider, ReportOverage};
use aftercommit_domain::reference::digests::{RunDigest, TriggerWeeklyDigests};
use aftercommit_domain::reference::exports::{PurgeExports, SweepExport};
use aftercommit_domain::reference::identity::SendMagicLinkEmail;
use aftercommit_domain::reference::incidents::{CheckIncident, EvaluateRecord, SweepOpenIncidents};
use aftercommit_domain::reference::invitations::{ExpireInvitation, SendInvitationEmail};
use aftercommit_domain::reference::notifications::{
    CreateNotification, DeleteNotifications, RequestDigestNotifications, RequestIncidentNotifications,
    SendNotificationEmail,
};
use aftercommit_domain::reference::projects::{CheckFirstRecord, ProvisionProject};
use aftercommit_domain::reference::records::{FanOutRecords, PurgeRecords, SettleRecord};
use aftercommit_domain::reference::search::{PurgeSearchIndex, RefreshSearchIndex};
use aftercommit_domain::reference::usage::RecordUsage;
use aftercommit_domain::reference::webhooks::{DeliverWebhook, FanOutWebhooks};
use aftercommit_runtime::worker::Topic;

use crate::HandlerPorts;
use crate::handlers::{
    CheckFirstRecordHandler, CheckIncidentHandler, CreateNotificationHandler, DeleteNotificationsHandler,
    DeliverWebhookHandler, EvaluateRecordHandler, ExpireInvitationHandler, FanOutRecordsHandler, FanOutWebhooksHandler,
    ProvisionProjectHandler, PurgeExportsHandler, PurgeRecordsHandler, PurgeSearchIndexHandler, RecordUsageHandler,
    RefreshSearchIndexHandler, ReportOverageHandler, RequestDigestNotificationsHandler,
    RequestIncidentNotificationsHandler, RunDigestHandler, SendInvitationEmailHandler, SendMagicLinkEmailHandler,
    SendNotificationEmailHandler, SettleRecordHandler, StartOverageReportHandler, StartProvisioningHandler,
    SweepExportHandler, SweepOpenIncidentsHandler, TriggerWeeklyDigestsHandler,
};

/// Every topic of the product with the handlers of its tasks.
pub fn topics(ports: HandlerPorts) -> Vec<Topic> {
    let mut topics = email_topics(&ports);
    let HandlerPorts {
        reference,
        billing,
        rails,
        webhooks,
        storage,
        has_workflow_engine,
        ..
    } = ports;
    let reference = || reference.clone();
    let rails = || rails.clone();
    topics.extend([
        Topic::named("invitations").handle::<ExpireInvitation>(ExpireInvitationHandler::new(reference())),
        provisioning(&reference, has_workflow_engine)
            .handle::<CheckFirstRecord>(CheckFirstRecordHandler::new(reference())),
        Topic::named("records")
            .handle::<FanOutRecords>(FanOutRecordsHandler::new(reference(), rails()))
            .handle::<SettleRecord>(SettleRecordHandler::new(reference(), rails()))
            .handle::<PurgeRecords>(PurgeRecordsHandler::new(reference())),
        Topic::named("search-index")
            .handle::<RefreshSearchIndex>(RefreshSearchIndexHandler::new(reference()))
            .handle::<PurgeSearchIndex>(PurgeSearchIndexHandler::new(reference())),
        Topic::named("incidents")
            .handle::<EvaluateRecord>(EvaluateRecordHandler::new(reference()))
            .handle::<SweepOpenIncidents>(SweepOpenIncidentsHandler::new(reference(), rails()))
            .handle::<CheckIncident>(CheckIncidentHandler::new(reference())),
        Topic::named("notifications")
            .handle::<RequestIncidentNotifications>(RequestIncidentNotificationsHandler::new(reference(), rails()))
            .handle::<RequestDigestNotifications>(RequestDigestNotificationsHandler::new(reference(), rails()))
            .handle::<CreateNotification>(CreateNotificationHandler::new(reference()))
            .handle::<DeleteNotifications>(DeleteNotificationsHandler::new(reference())),
        Topic::named("digests")
            .handle::<TriggerWeeklyDigests>(TriggerWeeklyDigestsHandler::new(reference(), rails()))
            .handle::<RunDigest>(RunDigestHandler::new(reference())),
        Topic::named("exports")
            .handle::<SweepExport>(SweepExportHandler::new(reference(), storage.clone()))
            .handle::<PurgeExports>(PurgeExportsHandler::new(reference(), storage)),
        Topic::named("usage").handle::<RecordUsage>(RecordUsageHandler::new(reference())),
        overage(&reference, billing, has_workflow_engine),
        Topic::named("webhooks")
            .handle::<FanOutWebhooks>(FanOutWebhooksHandler::new(reference()))
            .handle::<DeliverWebhook>(DeliverWebhookHandler::new(reference(), webhooks)),
    ]);
    topics
}

/// What starts a workflow where there is an engine, and else does what it can by itself.
fn provisioning(reference: &impl Fn() -> ReferencePorts, has_workflow_engine: bool) -> Topic {
    let topic = Topic::named("projects");
    if has_workflow_engine {
        topic.handle::<ProvisionProject>(StartProvisioningHandler::new(reference()))
    } else {
        topic.handle::<ProvisionProject>(ProvisionProjectHandler::new(reference()))
    }
}

/// The same. Either reports what is pending under the same key before anything newer, so that one may follow the other.
fn overage(
    reference: &impl Fn() -> ReferencePorts,
    billing: Arc<dyn BillingProvider>,
    has_workflow_engine: bool,
) -> Topic {
    let topic = Topic::named("billing");
    if has_workflow_engine {
        topic.handle::<ReportOverage>(StartOverageReportHandler::new(reference()))
    } else {
        topic.handle::<ReportOverage>(ReportOverageHandler::new(reference(), billing))
    }
}

/// Those that send e-mail.
fn email_topics(ports: &HandlerPorts) -> Vec<Topic> {
    let reference = || ports.reference.clone();
    let email = || ports.email.clone();
    let templates = || ports.templates.clone();
    vec![
        Topic::named("invitation-email").handle::<SendInvitationEmail>(SendInvitationEmailHandler::new(
            reference(),
            email(),
            templates(),
        )),
        Topic::named("magic-link-email").handle::<SendMagicLinkEmail>(SendMagicLinkEmailHandler::new(
            reference(),
            email(),
            templates(),
        )),
        Topic::named("notification-email").handle::<SendNotificationEmail>(SendNotificationEmailHandler::new(
            reference(),
            email(),
            templates(),
        )),
    ]
}
