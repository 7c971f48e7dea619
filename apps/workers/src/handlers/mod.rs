//! The handlers, by topic and task.

mod expiry;
mod invitation_email;
mod invitations;
mod magic_link_email;
mod projects;
mod records;
#[cfg(test)]
mod scene;
mod search_index;
mod usage;

pub(crate) use invitation_email::SendInvitationEmailHandler;
pub(crate) use invitations::ExpireInvitationHandler;
pub(crate) use magic_link_email::SendMagicLinkEmailHandler;
pub(crate) use projects::{CheckFirstRecordHandler, ProvisionProjectHandler};
pub(crate) use records::{FanOutRecordsHandler, PurgeRecordsHandler, SettleRecordHandler};
pub(crate) use search_index::{PurgeSearchIndexHandler, RefreshSearchIndexHandler};
pub(crate) use usage::RecordUsageHandler;
