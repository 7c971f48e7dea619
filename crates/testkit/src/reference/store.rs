//! The reference product's units of work and reader, in memory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aftercommit_domain::contract::{Cause, Tenant};
use aftercommit_domain::events::OutboxWriter;
use aftercommit_domain::reference::billing::{BillingLedger, OverageReportRepository};
use aftercommit_domain::reference::digests::WeeklyDigestRepository;
use aftercommit_domain::reference::exports::ExportRepository;
use aftercommit_domain::reference::identity::{
    ApiKey, ApiKeyRepository, MembershipRepository, SignInLink, SignInLinkRepository, UserRepository,
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
use aftercommit_domain::reference::{
    Digest, InvitationId, ReferenceReader, ReferenceUnitOfWork, ReferenceUnitOfWorkFactory,
};
use aftercommit_domain::tasks::{Inbox, ScheduleWriter, TaskWindows};
use aftercommit_domain::unit_of_work::{CommitError, StoreError, UnitOfWork, UnitOfWorkFactory};
use async_trait::async_trait;
use tokio::sync::OwnedMutexGuard;

use super::tables::{Rows, Tables};
use crate::memory::InMemory;

/// The reference product's rows in memory, with the outbox of an [`InMemory`] provider. Clones share the rows.
///
/// One unit of work at a time: the next one waits until the last was committed or dropped.
#[derive(Clone)]
pub struct MemoryReference {
    shared: Arc<Shared>,
}

struct Shared {
    provider: InMemory,
    committed: Mutex<Tables>,
    writer: Arc<tokio::sync::Mutex<()>>,
    refuses_commits: AtomicBool,
}

impl MemoryReference {
    /// No rows; events go to the outbox of `provider`.
    pub fn new(provider: InMemory) -> Self {
        Self {
            shared: Arc::new(Shared {
                provider,
                committed: Mutex::default(),
                writer: Arc::default(),
                refuses_commits: AtomicBool::new(false),
            }),
        }
    }

    /// From now on every commit is rolled back, or succeeds again.
    pub fn refuse_commits(&self, refuse: bool) {
        self.shared.refuses_commits.store(refuse, Ordering::SeqCst);
    }

    /// How many rows there are, of every kind: what "nothing was written" is told by.
    pub fn count_rows(&self) -> usize {
        let tables = self.lock();
        let tokens: usize = tables.invitations.values().map(|row| row.tokens.len()).sum();
        tables.organizations.len()
            + tables.projects.len()
            + tables.users.len()
            + tables.memberships.len()
            + tables.api_keys.len()
            + tables.sign_in_links.len()
            + tables.invitations.len()
            + tokens
            + tables.records.len()
            + tables.search.len()
            + tables.usage.len()
            + tables.webhooks.len()
            + tables.overage_reports.len()
            + tables.billing_ledger.len()
            + tables.incidents.len()
            + tables.notifications.len()
            + tables.notification_preferences.len()
            + tables.digests.len()
            + tables.exports.len()
            + tables.requests.len()
    }

    /// What everything that is stored looks like; for comparing before and after.
    pub fn snapshot(&self) -> String {
        format!("{:?}", self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.shared.committed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct MemoryReferenceUnitOfWork {
    store: MemoryReference,
    kit: Box<dyn UnitOfWork>,
    tables: Tables,
    _writer: OwnedMutexGuard<()>,
}

#[async_trait]
impl ReferenceUnitOfWorkFactory for MemoryReference {
    async fn begin(&self, tenant: &Tenant, cause: &Cause) -> Result<Box<dyn ReferenceUnitOfWork>, StoreError> {
        let writer = Arc::clone(&self.shared.writer).lock_owned().await;
        let kit = self.shared.provider.begin(tenant, cause).await?;
        let tables = self.lock().clone();
        Ok(Box::new(MemoryReferenceUnitOfWork {
            store: self.clone(),
            kit,
            tables,
            _writer: writer,
        }))
    }
}

#[async_trait]
impl UnitOfWork for MemoryReferenceUnitOfWork {
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
        if self.store.shared.refuses_commits.load(Ordering::SeqCst) {
            return Err(CommitError::RolledBack {
                reason: "told to refuse commits".into(),
            });
        }
        self.kit.commit().await?;
        *self.store.lock() = self.tables;
        Ok(())
    }
}

impl MemoryReferenceUnitOfWork {
    fn rows(&mut self) -> Rows<'_> {
        Rows {
            organization: self.kit.tenant().organization_id().cloned(),
            tables: &mut self.tables,
        }
    }
}

impl ReferenceUnitOfWork for MemoryReferenceUnitOfWork {
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

#[async_trait]
impl ReferenceReader for MemoryReference {
    async fn api_key(&self, digest: &Digest) -> Result<Option<ApiKey>, StoreError> {
        Ok(self.lock().api_keys.values().find(|key| key.digest == *digest).cloned())
    }

    async fn sign_in_link(&self, token: &Digest) -> Result<Option<SignInLink>, StoreError> {
        Ok(self
            .lock()
            .sign_in_links
            .values()
            .find(|link| link.token == *token)
            .cloned())
    }

    async fn tenant_of_invitation(&self, id: InvitationId) -> Result<Option<Tenant>, StoreError> {
        Ok(self
            .lock()
            .invitations
            .values()
            .find(|row| row.invitation.id == id)
            .map(|row| row.invitation.tenant()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::ReferenceHarness;
    use crate::reference::conformance::ReferenceStores;

    fn memory() -> (ReferenceStores, ()) {
        let store = ReferenceHarness::new().store;
        let stores = ReferenceStores {
            units: Arc::new(store.clone()),
            reader: Arc::new(store),
        };
        (stores, ())
    }

    crate::reference_store_conformance!(async { memory() });
}
