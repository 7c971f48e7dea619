//! The rows of the reference product.

use std::collections::BTreeMap;

use aftercommit_domain::contract::{OrganizationId, ProjectId, StorageKey};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::reference::billing::{BillingLedgerEntry, OverageReport};
use aftercommit_domain::reference::digests::WeeklyDigest;
use aftercommit_domain::reference::exports::Export;
use aftercommit_domain::reference::identity::{ApiKey, Membership, SignInLink, User};
use aftercommit_domain::reference::incidents::Incident;
use aftercommit_domain::reference::invitations::Invitation;
use aftercommit_domain::reference::notifications::{Notification, NotificationPreferences};
use aftercommit_domain::reference::organizations::Organization;
use aftercommit_domain::reference::projects::Project;
use aftercommit_domain::reference::requests::KeptAnswer;
use aftercommit_domain::reference::usage::UsagePeriod;
use aftercommit_domain::reference::webhooks::WebhookEndpoint;
use aftercommit_domain::reference::{
    ApiKeyId, Digest, ExportId, IncidentId, InvitationId, NotificationId, OverageReportId, RecordId, RequestId,
    SignInLinkId, UserId, WebhookId, WeeklyDigestId,
};
use aftercommit_domain::time::Timestamp;
use chrono::NaiveDate;

/// Everything that is stored. A unit of work changes a copy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tables {
    pub(super) organizations: BTreeMap<OrganizationId, Organization>,
    pub(super) projects: BTreeMap<(OrganizationId, ProjectId), Project>,
    pub(super) users: BTreeMap<UserId, User>,
    pub(super) memberships: BTreeMap<(OrganizationId, UserId), Membership>,
    pub(super) api_keys: BTreeMap<ApiKeyId, ApiKey>,
    pub(super) sign_in_links: BTreeMap<SignInLinkId, SignInLink>,
    pub(super) invitations: BTreeMap<(OrganizationId, InvitationId), InvitationRow>,
    pub(super) records: BTreeMap<(OrganizationId, ProjectId, String), RecordRow>,
    pub(super) search: BTreeMap<(OrganizationId, ProjectId, RecordId), (String, Timestamp)>,
    pub(super) usage: BTreeMap<(OrganizationId, ProjectId, NaiveDate), UsagePeriod>,
    pub(super) webhooks: BTreeMap<(OrganizationId, WebhookId), WebhookEndpoint>,
    pub(super) overage_reports: BTreeMap<(OrganizationId, OverageReportId), OverageReport>,
    pub(super) billing_ledger: BTreeMap<(OrganizationId, String), BillingLedgerEntry>,
    pub(super) incidents: BTreeMap<IncidentId, Incident>,
    pub(super) notifications: BTreeMap<(OrganizationId, NotificationId), NotificationRow>,
    pub(super) notification_preferences: BTreeMap<(OrganizationId, UserId), NotificationPreferences>,
    pub(super) digests: BTreeMap<(OrganizationId, WeeklyDigestId), WeeklyDigest>,
    pub(super) exports: BTreeMap<(OrganizationId, ExportId), Export>,
    pub(super) requests: BTreeMap<(Option<OrganizationId>, String, String), RequestRow>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InvitationRow {
    pub(super) invitation: Invitation,
    pub(super) claim: Option<(MessageId, Timestamp)>,
    pub(super) tokens: Vec<Digest>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotificationRow {
    pub(super) notification: Notification,
    pub(super) claim: Option<(MessageId, Timestamp)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RecordRow {
    pub(super) id: RecordId,
    pub(super) body: String,
    pub(super) batch: StorageKey,
    pub(super) received_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestRow {
    pub(super) id: RequestId,
    pub(super) fingerprint: Digest,
    pub(super) answer: Option<KeptAnswer>,
    pub(super) claimed_at: Timestamp,
}

/// The rows as one unit of work sees them. Implements every repository port.
pub(super) struct Rows<'a> {
    pub(super) tables: &'a mut Tables,
    pub(super) organization: Option<OrganizationId>,
}

impl Rows<'_> {
    /// Whether a row of this organization is seen.
    pub(super) fn sees(&self, organization: &OrganizationId) -> bool {
        self.organization.as_ref() == Some(organization)
    }

    /// Whether a row of this organization is listed: the system lists all.
    pub(super) fn lists(&self, organization: &OrganizationId) -> bool {
        self.organization.as_ref().is_none_or(|own| own == organization)
    }

    /// The key of a row of the unit of work's organization; `None` when it was begun for none.
    pub(super) fn key<I>(&self, id: I) -> Option<(OrganizationId, I)> {
        self.organization.clone().map(|organization| (organization, id))
    }
}
