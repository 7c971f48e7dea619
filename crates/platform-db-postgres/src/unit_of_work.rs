//! Units of work: one transaction, with messages written right before its commit.

use std::fmt;
use std::sync::Arc;

use aftercommit_domain::contract::{Cause, EnvelopeFactory, Tenant};
use aftercommit_domain::events::{OutboxError, OutboxMessage, OutboxWriter};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{Inbox, ScheduleWriter, TaskWindows};
use aftercommit_domain::unit_of_work::{CommitError, StoreError, UnitOfWork, UnitOfWorkFactory};
use async_trait::async_trait;

use crate::database::Inner;
use crate::inbox::create_inbox;
use crate::outbox::rows::{NewRows, Scope};
use crate::schedules::create_schedule_writer;
use crate::transaction::PostgresTransaction;
use crate::windows::create_task_windows;

/// Messages that wait in memory for the commit; more are written before it.
const MOST_ROWS: usize = 1000;
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// Begins units of work in a database.
#[derive(Clone)]
pub struct PostgresUnitOfWorkFactory {
    pub(crate) database: Arc<Inner>,
    pub(crate) envelopes: EnvelopeFactory,
}

impl PostgresUnitOfWorkFactory {
    /// Begins one whose transaction can be reached; the port's `begin` hides it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when no connection came in time, or the server is away.
    pub async fn begin_postgres(&self, tenant: &Tenant, cause: &Cause) -> Result<PostgresUnitOfWork, StoreError> {
        let transaction = self.database.beginner.begin(tenant).await?;
        failpoint!(UNIT_OF_WORK_AFTER_BEGIN);
        Ok(PostgresUnitOfWork {
            transaction,
            envelopes: self.envelopes.clone(),
            tenant: tenant.clone(),
            cause: cause.clone(),
            messages: NewRows::default(),
        })
    }
}

#[async_trait]
impl UnitOfWorkFactory for PostgresUnitOfWorkFactory {
    async fn begin(&self, tenant: &Tenant, cause: &Cause) -> Result<Box<dyn UnitOfWork>, StoreError> {
        Ok(Box::new(self.begin_postgres(tenant, cause).await?))
    }
}

/// One open transaction of one tenant.
///
/// Its messages are written by the last statement before the commit: one statement for all of them, and the turns that
/// writers of one aggregate take are short.
pub struct PostgresUnitOfWork {
    transaction: PostgresTransaction,
    envelopes: EnvelopeFactory,
    tenant: Tenant,
    cause: Cause,
    messages: NewRows,
}

impl PostgresUnitOfWork {
    /// The transaction, for repositories.
    pub fn transaction(&mut self) -> &mut PostgresTransaction {
        &mut self.transaction
    }

    /// Why it happens.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// Makes everything durable; see [`UnitOfWork::commit`].
    ///
    /// # Errors
    /// [`CommitError`].
    pub async fn commit(mut self) -> Result<(), CommitError> {
        failpoint!(UNIT_OF_WORK_BEFORE_COMMIT);
        if self.messages.is_empty() {
            self.transaction.commit().await?;
            failpoint!(UNIT_OF_WORK_AFTER_COMMIT);
            return Ok(());
        }
        self.transaction.wake_relay_after_commit();
        let messages = std::mem::take(&mut self.messages);
        messages
            .insert(&mut self.transaction, &self.tenant, Scope::Set)
            .await
            .map_err(not_written)?;
        failpoint!(UNIT_OF_WORK_AFTER_MESSAGES);
        self.transaction.commit_checked().await?;
        failpoint!(UNIT_OF_WORK_AFTER_COMMIT);
        Ok(())
    }
}

#[async_trait]
impl UnitOfWork for PostgresUnitOfWork {
    fn outbox(&mut self) -> Box<dyn OutboxWriter + '_> {
        Box::new(BufferedOutboxWriter { unit: self })
    }

    fn inbox(&mut self) -> Box<dyn Inbox + '_> {
        let tenant = self.tenant.clone();
        Box::new(create_inbox(&mut self.transaction, tenant))
    }

    fn schedules(&mut self) -> Box<dyn ScheduleWriter + '_> {
        let tenant = self.tenant.clone();
        Box::new(create_schedule_writer(&mut self.transaction, tenant))
    }

    fn windows(&mut self) -> Box<dyn TaskWindows + '_> {
        let tenant = self.tenant.clone();
        Box::new(create_task_windows(&mut self.transaction, tenant))
    }

    fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    async fn commit(self: Box<Self>) -> Result<(), CommitError> {
        (*self).commit().await
    }
}

/// Keeps messages until the commit of their unit of work.
struct BufferedOutboxWriter<'u> {
    unit: &'u mut PostgresUnitOfWork,
}

#[async_trait]
impl OutboxWriter for BufferedOutboxWriter<'_> {
    async fn append(&mut self, messages: Vec<OutboxMessage>) -> Result<Vec<MessageId>, OutboxError> {
        let unit = &mut *self.unit;
        let ids = unit
            .messages
            .add(&messages, &unit.tenant, unit.envelopes.codec().limits())?;
        if unit.messages.len() >= MOST_ROWS || unit.messages.bytes() >= MOST_BYTES {
            unit.transaction.wake_relay_after_commit();
            let rows = std::mem::take(&mut unit.messages);
            rows.insert(&mut unit.transaction, &unit.tenant, Scope::Set).await?;
        }
        Ok(ids)
    }

    fn envelopes(&self) -> &EnvelopeFactory {
        &self.unit.envelopes
    }

    fn cause(&self) -> &Cause {
        &self.unit.cause
    }
}

/// Nothing was committed, because the messages could not be written.
fn not_written(error: OutboxError) -> CommitError {
    match error {
        OutboxError::Unavailable { reason, .. } => CommitError::RolledBack { reason },
        OutboxError::Conflict { reason, .. } => CommitError::Conflict { reason },
        OutboxError::Stale { .. } | OutboxError::Refused { .. } | OutboxError::Tenant(_) | OutboxError::Limit(_) => {
            CommitError::Refused {
                reason: error.to_string(),
            }
        }
    }
}

impl fmt::Debug for PostgresUnitOfWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresUnitOfWork")
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for PostgresUnitOfWorkFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresUnitOfWorkFactory").finish_non_exhaustive()
    }
}
