//! The events and tasks of the product.

use crate::events::EventCatalogue;
use crate::reference::billing::ReportOverage;
use crate::reference::digests::{DigestGenerated, RunDigest, TriggerWeeklyDigests};
use crate::reference::exports::{ExportCancelled, ExportCompleted, ExportFailed, PurgeExports, SweepExport};
use crate::reference::identity::{
    ApiKeyCreated, ApiKeyRevoked, MagicLinkEmailRequested, MemberJoined, MemberLeft, MemberRestored,
    SendMagicLinkEmail, UserDeleted, UserDeletionRequested, UserSignedUp,
};
use crate::reference::incidents::{CheckIncident, EvaluateRecord, IncidentClosed, IncidentOpened, SweepOpenIncidents};
use crate::reference::invitations::{
    ExpireInvitation, InvitationCreated, InvitationEmailRequested, InvitationExpired, InvitationProlonged,
    SendInvitationEmail,
};
use crate::reference::notifications::{
    CreateNotification, DeleteNotifications, NotificationCreated, RequestDigestNotifications,
    RequestIncidentNotifications, SendNotificationEmail,
};
use crate::reference::organizations::OrganizationCreated;
use crate::reference::projects::{
    CheckFirstRecord, FirstRecordReceived, ProjectCreated, ProjectDeleted, ProvisionProject,
};
use crate::reference::records::{FanOutRecords, PurgeRecords, RecordSettled, RecordsIngested, SettleRecord};
use crate::reference::search::{PurgeSearchIndex, RefreshSearchIndex};
use crate::reference::usage::{RecordUsage, UsagePeriodUpdated};
use crate::reference::webhooks::{
    DeliverWebhook, FanOutWebhooks, WebhookEndpointCreated, WebhookEndpointDeleted, WebhookEndpointDisabled,
};
use crate::tasks::TaskDescriptor;

/// The events of the product.
pub fn catalogue() -> EventCatalogue {
    crate::catalogue![
        OrganizationCreated,
        UserSignedUp,
        MemberJoined,
        MemberLeft,
        MemberRestored,
        UserDeletionRequested,
        UserDeleted,
        ApiKeyCreated,
        ApiKeyRevoked,
        ProjectCreated,
        ProjectDeleted,
        InvitationCreated,
        InvitationEmailRequested,
        InvitationProlonged,
        InvitationExpired,
        MagicLinkEmailRequested,
        RecordsIngested,
        RecordSettled,
        FirstRecordReceived,
        WebhookEndpointCreated,
        WebhookEndpointDeleted,
        WebhookEndpointDisabled,
        UsagePeriodUpdated,
        IncidentOpened,
        IncidentClosed,
        NotificationCreated,
        DigestGenerated,
        ExportCompleted,
        ExportFailed,
        ExportCancelled,
    ]
}

/// The tasks of the product.
pub fn tasks() -> Vec<TaskDescriptor> {
    vec![
        TaskDescriptor::of::<SendInvitationEmail>(),
        TaskDescriptor::of::<ExpireInvitation>(),
        TaskDescriptor::of::<SendMagicLinkEmail>(),
        TaskDescriptor::of::<ProvisionProject>(),
        TaskDescriptor::of::<CheckFirstRecord>(),
        TaskDescriptor::of::<FanOutRecords>(),
        TaskDescriptor::of::<SettleRecord>(),
        TaskDescriptor::of::<PurgeRecords>(),
        TaskDescriptor::of::<RefreshSearchIndex>(),
        TaskDescriptor::of::<PurgeSearchIndex>(),
        TaskDescriptor::of::<RecordUsage>(),
        TaskDescriptor::of::<FanOutWebhooks>(),
        TaskDescriptor::of::<DeliverWebhook>(),
        TaskDescriptor::of::<ReportOverage>(),
        TaskDescriptor::of::<EvaluateRecord>(),
        TaskDescriptor::of::<SweepOpenIncidents>(),
        TaskDescriptor::of::<CheckIncident>(),
        TaskDescriptor::of::<RequestIncidentNotifications>(),
        TaskDescriptor::of::<RequestDigestNotifications>(),
        TaskDescriptor::of::<CreateNotification>(),
        TaskDescriptor::of::<DeleteNotifications>(),
        TaskDescriptor::of::<SendNotificationEmail>(),
        TaskDescriptor::of::<TriggerWeeklyDigests>(),
        TaskDescriptor::of::<RunDigest>(),
        TaskDescriptor::of::<SweepExport>(),
        TaskDescriptor::of::<PurgeExports>(),
    ]
}
