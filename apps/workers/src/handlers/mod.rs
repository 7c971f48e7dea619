//! The handlers, by topic and task.

mod expiry;
mod invitation_email;
mod invitations;
mod magic_link_email;
mod projects;
mod records;
#[cfg(test)]
mod scene;
mod usage;
mod webhooks;

pub(crate) use invitation_email::SendInvitationEmailHandler;
pub(crate) use invitations::ExpireInvitationHandler;
pub(crate) use magic_link_email::SendMagicLinkEmailHandler;
pub(crate) use projects::{CheckFirstRecordHandler, ProvisionProjectHandler};
pub(crate) use records::PurgeRecordsHandler;
pub(crate) use usage::RecordUsageHandler;
pub(crate) use webhooks::{DeliverWebhookHandler, FanOutWebhooksHandler};
