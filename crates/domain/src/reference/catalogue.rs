//! The events and tasks of the product.

use crate::events::EventCatalogue;
use crate::reference::identity::{
    ApiKeyCreated, ApiKeyRevoked, MagicLinkEmailRequested, MemberJoined, SendMagicLinkEmail, UserSignedUp,
};
use crate::reference::invitations::{
    ExpireInvitation, InvitationCreated, InvitationEmailRequested, InvitationExpired, InvitationProlonged,
    SendInvitationEmail,
};
use crate::reference::organizations::OrganizationCreated;
use crate::reference::projects::{
    CheckFirstRecord, FirstRecordReceived, ProjectCreated, ProjectDeleted, ProvisionProject,
};
use crate::reference::records::{FanOutRecords, PurgeRecords, RecordSettled, RecordsIngested, SettleRecord};
use crate::reference::search::{PurgeSearchIndex, RefreshSearchIndex};
use crate::reference::usage::RecordUsage;
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
        InvitationProlonged,
        InvitationExpired,
        MagicLinkEmailRequested,
        RecordsIngested,
        RecordSettled,
        FirstRecordReceived,
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
    ]
}
