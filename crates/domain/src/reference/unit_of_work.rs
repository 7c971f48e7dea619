//! The product's unit of work: the kit's, with the product's repositories in the same transaction.

use async_trait::async_trait;

use crate::contract::{Cause, Tenant};
use crate::reference::billing::{BillingLedger, OverageReportRepository};
use crate::reference::digests::WeeklyDigestRepository;
use crate::reference::exports::ExportRepository;
use crate::reference::identity::{ApiKeyRepository, MembershipRepository, SignInLinkRepository, UserRepository};
use crate::reference::incidents::IncidentRepository;
use crate::reference::invitations::InvitationRepository;
use crate::reference::notifications::{NotificationPreferencesRepository, NotificationRepository};
use crate::reference::organizations::OrganizationRepository;
use crate::reference::projects::ProjectRepository;
use crate::reference::records::RecordRepository;
use crate::reference::requests::RequestRepository;
use crate::reference::search::SearchIndexRepository;
use crate::reference::usage::UsageRepository;
use crate::reference::webhooks::WebhookEndpointRepository;
use crate::unit_of_work::{StoreError, UnitOfWork};

/// One transaction over the product's repositories and the outbox.
///
/// **Contract**: repositories see and change rows of the unit of work's organization only; a row of another one is not
/// found. Users, sign-in links and requests belong to no organization. Two units of work that change the same row do
/// so one after the other.
pub trait ReferenceUnitOfWork: UnitOfWork {
    /// The organization.
    fn organizations(&mut self) -> Box<dyn OrganizationRepository + '_>;
    /// Its projects.
    fn projects(&mut self) -> Box<dyn ProjectRepository + '_>;
    /// People, of all organizations.
    fn users(&mut self) -> Box<dyn UserRepository + '_>;
    /// Who belongs to the organization.
    fn memberships(&mut self) -> Box<dyn MembershipRepository + '_>;
    /// Its API keys.
    fn api_keys(&mut self) -> Box<dyn ApiKeyRepository + '_>;
    /// Links that sign in, of all organizations.
    fn sign_in_links(&mut self) -> Box<dyn SignInLinkRepository + '_>;
    /// Invitations to the organization.
    fn invitations(&mut self) -> Box<dyn InvitationRepository + '_>;
    /// Records of its projects.
    fn records(&mut self) -> Box<dyn RecordRepository + '_>;
    /// What their search index has.
    fn search_index(&mut self) -> Box<dyn SearchIndexRepository + '_>;
    /// What its projects used.
    fn usage(&mut self) -> Box<dyn UsageRepository + '_>;
    /// Webhooks of its projects.
    fn webhooks(&mut self) -> Box<dyn WebhookEndpointRepository + '_>;
    /// What is reported of it to be charged for.
    fn overage_reports(&mut self) -> Box<dyn OverageReportRepository + '_>;
    /// What stands in for a billing provider.
    fn billing_ledger(&mut self) -> Box<dyn BillingLedger + '_>;
    /// Troubles that records tell of.
    fn incidents(&mut self) -> Box<dyn IncidentRepository + '_>;
    /// What members are told.
    fn notifications(&mut self) -> Box<dyn NotificationRepository + '_>;
    /// What members want to be told by e-mail.
    fn notification_preferences(&mut self) -> Box<dyn NotificationPreferencesRepository + '_>;
    /// Weeks of its projects.
    fn digests(&mut self) -> Box<dyn WeeklyDigestRepository + '_>;
    /// Exports of its projects.
    fn exports(&mut self) -> Box<dyn ExportRepository + '_>;
    /// Requests that carried an `Idempotency-Key`.
    fn requests(&mut self) -> Box<dyn RequestRepository + '_>;
}

/// Begins the product's units of work.
#[async_trait]
pub trait ReferenceUnitOfWorkFactory: Send + Sync {
    /// Begins one for `tenant`, because of `cause`. Cancelling the call leaves no transaction open.
    async fn begin(&self, tenant: &Tenant, cause: &Cause) -> Result<Box<dyn ReferenceUnitOfWork>, StoreError>;
}
