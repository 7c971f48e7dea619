//! Units of work on the one writing connection.

use std::fmt;
use std::sync::Arc;

use aftercommit_domain::contract::{Cause, EnvelopeFactory, Tenant};
use aftercommit_domain::events::OutboxWriter;
use aftercommit_domain::tasks::{Inbox, ScheduleWriter, TaskWindows};
use aftercommit_domain::unit_of_work::{CommitError, StoreError, UnitOfWork, UnitOfWorkFactory};
use async_trait::async_trait;

use crate::database::Inner;
use crate::inbox::create_inbox;
use crate::outbox::create_outbox_writer;
use crate::schedules::create_schedule_writer;
use crate::transaction::SqliteTransaction;
use crate::windows::create_task_windows;

/// Begins units of work in a database.
#[derive(Clone)]
pub struct SqliteUnitOfWorkFactory {
    pub(crate) database: Arc<Inner>,
    pub(crate) envelopes: EnvelopeFactory,
}

impl SqliteUnitOfWorkFactory {
    /// Begins one whose transaction can be reached; the port's `begin` hides it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when no turn to write came in time.
    pub async fn begin_sqlite(&self, tenant: &Tenant, cause: &Cause) -> Result<SqliteUnitOfWork, StoreError> {
        let transaction = self.database.begin().await?;
        failpoint!(UNIT_OF_WORK_AFTER_BEGIN);
        Ok(SqliteUnitOfWork {
            transaction,
            envelopes: self.envelopes.clone(),
            tenant: tenant.clone(),
            cause: cause.clone(),
        })
    }
}

#[async_trait]
impl UnitOfWorkFactory for SqliteUnitOfWorkFactory {
    async fn begin(&self, tenant: &Tenant, cause: &Cause) -> Result<Box<dyn UnitOfWork>, StoreError> {
        Ok(Box::new(self.begin_sqlite(tenant, cause).await?))
    }
}

/// One open transaction of one tenant.
pub struct SqliteUnitOfWork {
    transaction: SqliteTransaction,
    envelopes: EnvelopeFactory,
    tenant: Tenant,
    cause: Cause,
}

impl SqliteUnitOfWork {
    /// The transaction, for repositories.
    pub fn transaction(&mut self) -> &mut SqliteTransaction {
        &mut self.transaction
    }

    /// Why it happens.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }
}

#[async_trait]
impl UnitOfWork for SqliteUnitOfWork {
    fn outbox(&mut self) -> Box<dyn OutboxWriter + '_> {
        let (tenant, cause) = (self.tenant.clone(), self.cause.clone());
        Box::new(create_outbox_writer(
            &mut self.transaction,
            self.envelopes.clone(),
            tenant,
            cause,
        ))
    }

    fn inbox(&mut self) -> Box<dyn Inbox + '_> {
        let (tenant, now) = (self.tenant.clone(), self.envelopes.now());
        Box::new(create_inbox(&mut self.transaction, tenant, now))
    }

    fn schedules(&mut self) -> Box<dyn ScheduleWriter + '_> {
        let (tenant, now) = (self.tenant.clone(), self.envelopes.now());
        Box::new(create_schedule_writer(&mut self.transaction, tenant, now))
    }

    fn windows(&mut self) -> Box<dyn TaskWindows + '_> {
        let (tenant, now) = (self.tenant.clone(), self.envelopes.now());
        Box::new(create_task_windows(&mut self.transaction, tenant, now))
    }

    fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    async fn commit(self: Box<Self>) -> Result<(), CommitError> {
        failpoint!(UNIT_OF_WORK_BEFORE_COMMIT);
        self.transaction.commit().await?;
        failpoint!(UNIT_OF_WORK_AFTER_COMMIT);
        Ok(())
    }
}

impl fmt::Debug for SqliteUnitOfWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteUnitOfWork")
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SqliteUnitOfWorkFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteUnitOfWorkFactory").finish_non_exhaustive()
    }
}
