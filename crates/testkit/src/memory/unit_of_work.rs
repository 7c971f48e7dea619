//! A transaction whose writes are kept aside until it commits.

use aftercommit_domain::contract::{Cause, EnvelopeFactory, Tenant};
use aftercommit_domain::events::{OutboxError, OutboxMessage, OutboxWriter};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{Inbox, ScheduleWriter, TaskWindows};
use aftercommit_domain::unit_of_work::{CommitError, StoreError, UnitOfWork, UnitOfWorkFactory};
use async_trait::async_trait;

use super::InMemory;
use super::inbox::{MemoryInbox, OpenClaims};
use super::outbox::NewRow;
use super::schedules::{Change, MemoryScheduleWriter};
use super::task_windows::{MemoryTaskWindows, OpenWindows};

struct MemoryUnitOfWork {
    provider: InMemory,
    tenant: Tenant,
    cause: Cause,
    rows: Vec<NewRow>,
    claims: OpenClaims,
    schedules: Vec<Change>,
    windows: OpenWindows,
}

struct MemoryOutboxWriter<'a> {
    unit_of_work: &'a mut MemoryUnitOfWork,
}

#[async_trait]
impl UnitOfWorkFactory for InMemory {
    async fn begin(&self, tenant: &Tenant, cause: &Cause) -> Result<Box<dyn UnitOfWork>, StoreError> {
        Ok(Box::new(MemoryUnitOfWork {
            provider: self.clone(),
            tenant: tenant.clone(),
            cause: cause.clone(),
            rows: Vec::new(),
            claims: OpenClaims::new(self.clone()),
            schedules: Vec::new(),
            windows: OpenWindows::new(self.clone()),
        }))
    }
}

#[async_trait]
impl UnitOfWork for MemoryUnitOfWork {
    fn outbox(&mut self) -> Box<dyn OutboxWriter + '_> {
        Box::new(MemoryOutboxWriter { unit_of_work: self })
    }

    fn inbox(&mut self) -> Box<dyn Inbox + '_> {
        Box::new(MemoryInbox {
            tenant: self.tenant.clone(),
            claims: &mut self.claims,
        })
    }

    fn schedules(&mut self) -> Box<dyn ScheduleWriter + '_> {
        Box::new(MemoryScheduleWriter {
            provider: &self.provider,
            tenant: &self.tenant,
            changes: &mut self.schedules,
        })
    }

    fn windows(&mut self) -> Box<dyn TaskWindows + '_> {
        Box::new(MemoryTaskWindows {
            tenant: self.tenant.clone(),
            open: &mut self.windows,
        })
    }

    fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    async fn commit(mut self: Box<Self>) -> Result<(), CommitError> {
        self.claims.commit();
        self.windows.commit();
        let now = self.provider.now();
        {
            let mut state = self.provider.lock();
            state.outbox.add(self.rows);
            for change in self.schedules {
                state.schedules.apply(change, now);
            }
        }
        self.provider.shared.outbox_changed.notify_waiters();
        Ok(())
    }
}

#[async_trait]
impl OutboxWriter for MemoryOutboxWriter<'_> {
    async fn append(&mut self, messages: Vec<OutboxMessage>) -> Result<Vec<MessageId>, OutboxError> {
        let MemoryUnitOfWork {
            provider, tenant, rows, ..
        } = &mut *self.unit_of_work;
        let written_at = provider.now();
        let mut new = Vec::with_capacity(messages.len());
        let mut ids = Vec::with_capacity(messages.len());
        for message in &messages {
            ids.push(message.id());
            new.push(NewRow {
                id: message.id(),
                ordering: message.ordering(),
                written_at,
                message: message.to_raw(tenant, provider.limits())?,
            });
        }
        // Only now, so that one refused message leaves none of the call behind.
        rows.append(&mut new);
        Ok(ids)
    }

    fn envelopes(&self) -> &EnvelopeFactory {
        &self.unit_of_work.provider.shared.envelopes
    }

    fn cause(&self) -> &Cause {
        &self.unit_of_work.cause
    }
}
