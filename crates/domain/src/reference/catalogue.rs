//! The events and tasks of the product.

use crate::events::EventCatalogue;
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
    DeliverWebhook, FanOutWebhooks, WebhookEndpointCreated, WebhookEndpointDeleted, WebhookEndpointDisabled,
};
use crate::tasks::TaskDescriptor;

/// The events of the product.
pub fn catalogue() -> EventCatalogue {
    crate::catalogue![
        OrganizationCreated,
        UserSignedUp,
        MemberJoined,
        ApiKeyCreated,
        ApiKeyRevoked,
        ProjectCreated,
        ProjectDeleted,
        InvitationCreated,
        InvitationEmailRequested,
        InvitationExpired,
        MagicLinkEmailRequested,
        RecordsIngested,
        FirstRecordReceived,
        WebhookEndpointCreated,
        WebhookEndpointDeleted,
        WebhookEndpointDisabled,
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
        TaskDescriptor::of::<PurgeRecords>(),
        TaskDescriptor::of::<RecordUsage>(),
        TaskDescriptor::of::<FanOutWebhooks>(),
        TaskDescriptor::of::<DeliverWebhook>(),
    ]
}
