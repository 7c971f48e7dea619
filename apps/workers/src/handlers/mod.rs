//! The handlers, by topic and task.

mod billing;
mod digests;
mod expiry;
mod exports;
mod incidents;
mod invitation_email;
mod invitations;
mod magic_link_email;
mod notification_email;
mod notifications;
mod projects;
mod records;
#[cfg(test)]
mod scene;
mod search_index;
mod usage;
mod webhooks;

pub(crate) use billing::{ReportOverageHandler, StartOverageReportHandler};
pub(crate) use digests::{RunDigestHandler, TriggerWeeklyDigestsHandler};
pub(crate) use exports::{PurgeExportsHandler, SweepExportHandler};
pub(crate) use incidents::{CheckIncidentHandler, EvaluateRecordHandler, SweepOpenIncidentsHandler};
pub(crate) use invitation_email::SendInvitationEmailHandler;
pub(crate) use invitations::ExpireInvitationHandler;
pub(crate) use magic_link_email::SendMagicLinkEmailHandler;
pub(crate) use notification_email::SendNotificationEmailHandler;
pub(crate) use notifications::{
    CreateNotificationHandler, DeleteNotificationsHandler, RequestDigestNotificationsHandler,
    RequestIncidentNotificationsHandler,
};
pub(crate) use projects::{CheckFirstRecordHandler, ProvisionProjectHandler, StartProvisioningHandler};
pub(crate) use records::{FanOutRecordsHandler, PurgeRecordsHandler, SettleRecordHandler};
pub(crate) use search_index::{PurgeSearchIndexHandler, RefreshSearchIndexHandler};
pub(crate) use usage::RecordUsageHandler;
pub(crate) use webhooks::{DeliverWebhookHandler, FanOutWebhooksHandler};
