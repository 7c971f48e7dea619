//! The product's units of work: the provider's, with the product's repositories in the same transaction.

use std::sync::Arc;

use aftercommit_domain::contract::{Cause, OrganizationId, Sealer, Tenant};
use aftercommit_domain::events::OutboxWriter;
use aftercommit_domain::reference::billing::{BillingLedger, OverageReportRepository};
use aftercommit_domain::reference::digests::WeeklyDigestRepository;
use aftercommit_domain::reference::exports::ExportRepository;
use aftercommit_domain::reference::identity::{
    ApiKeyRepository, MembershipRepository, SignInLinkRepository, UserRepository,
};
use aftercommit_domain::reference::incidents::IncidentRepository;
use aftercommit_domain::reference::invitations::InvitationRepository;
use aftercommit_domain::reference::notifications::{NotificationPreferencesRepository, NotificationRepository};
use aftercommit_domain::reference::organizations::OrganizationRepository;
use aftercommit_domain::reference::projects::ProjectRepository;
use aftercommit_domain::reference::records::RecordRepository;
use aftercommit_domain::reference::requests::RequestRepository;
use aftercommit_domain::reference::search::SearchIndexRepository;
use aftercommit_domain::reference::usage::UsageRepository;
use aftercommit_domain::reference::webhooks::WebhookEndpointRepository;
use aftercommit_domain::reference::{ReferenceUnitOfWork, ReferenceUnitOfWorkFactory};
use aftercommit_domain::tasks::{Inbox, ScheduleWriter, TaskWindows};
use aftercommit_domain::unit_of_work::{CommitError, StoreError, UnitOfWork};
use async_trait::async_trait;

use super::PostgresReference;
use super::rows::Rows;
use crate::PostgresUnitOfWork;

#[async_trait]
impl ReferenceUnitOfWorkFactory for PostgresReference {
    async fn begin(&self, tenant: &Tenant, cause: &Cause) -> Result<Box<dyn ReferenceUnitOfWork>, StoreError> {
        Ok(Box::new(PostgresReferenceUnitOfWork {
            organization: tenant.organization_id().map_or("", OrganizationId::as_str).to_owned(),
            kit: self.units.begin_postgres(tenant, cause).await?,
            sealer: Arc::clone(&self.sealer),
        }))
    }
}

struct PostgresReferenceUnitOfWork {
    kit: PostgresUnitOfWork,
    sealer: Arc<dyn Sealer>,
    organization: String,
}

impl PostgresReferenceUnitOfWork {
    fn rows(&mut self) -> Rows<'_> {
        Rows {
            transaction: self.kit.transaction(),
            sealer: &*self.sealer,
            organization: &self.organization,
        }
    }
}

#[async_trait]
impl UnitOfWork for PostgresReferenceUnitOfWork {
    fn outbox(&mut self) -> Box<dyn OutboxWriter + '_> {
        self.kit.outbox()
    }

    fn inbox(&mut self) -> Box<dyn Inbox + '_> {
        self.kit.inbox()
    }

    fn schedules(&mut self) -> Box<dyn ScheduleWriter + '_> {
        self.kit.schedules()
    }

    fn windows(&mut self) -> Box<dyn TaskWindows + '_> {
        self.kit.windows()
    }

    fn tenant(&self) -> &Tenant {
        self.kit.tenant()
    }

    async fn commit(self: Box<Self>) -> Result<(), CommitError> {
        self.kit.commit().await
    }
}

impl ReferenceUnitOfWork for PostgresReferenceUnitOfWork {
    fn organizations(&mut self) -> Box<dyn OrganizationRepository + '_> {
        Box::new(self.rows())
    }

    fn projects(&mut self) -> Box<dyn ProjectRepository + '_> {
        Box::new(self.rows())
    }

    fn users(&mut self) -> Box<dyn UserRepository + '_> {
        Box::new(self.rows())
    }

    fn memberships(&mut self) -> Box<dyn MembershipRepository + '_> {
        Box::new(self.rows())
    }

    fn api_keys(&mut self) -> Box<dyn ApiKeyRepository + '_> {
        Box::new(self.rows())
    }

    fn sign_in_links(&mut self) -> Box<dyn SignInLinkRepository + '_> {
        Box::new(self.rows())
    }

    fn invitations(&mut self) -> Box<dyn InvitationRepository + '_> {
        Box::new(self.rows())
    }

    fn records(&mut self) -> Box<dyn RecordRepository + '_> {
        Box::new(self.rows())
    }

    fn search_index(&mut self) -> Box<dyn SearchIndexRepository + '_> {
        Box::new(self.rows())
    }

    fn usage(&mut self) -> Box<dyn UsageRepository + '_> {
        Box::new(self.rows())
    }

    fn webhooks(&mut self) -> Box<dyn WebhookEndpointRepository + '_> {
        Box::new(self.rows())
    }

    fn overage_reports(&mut self) -> Box<dyn OverageReportRepository + '_> {
        Box::new(self.rows())
    }

    fn billing_ledger(&mut self) -> Box<dyn BillingLedger + '_> {
        Box::new(self.rows())
    }

    fn incidents(&mut self) -> Box<dyn IncidentRepository + '_> {
        Box::new(self.rows())
    }

    fn notifications(&mut self) -> Box<dyn NotificationRepository + '_> {
        Box::new(self.rows())
    }

    fn notification_preferences(&mut self) -> Box<dyn NotificationPreferencesRepository + '_> {
        Box::new(self.rows())
    }

    fn digests(&mut self) -> Box<dyn WeeklyDigestRepository + '_> {
        Box::new(self.rows())
    }

    fn exports(&mut self) -> Box<dyn ExportRepository + '_> {
        Box::new(self.rows())
    }

    fn requests(&mut self) -> Box<dyn RequestRepository + '_> {
        Box::new(self.rows())
    }
}
