//! Faults of transactions: of beginning one, of what is written and claimed in it, of its commit.

use std::sync::Arc;

use aftercommit_domain::contract::{Cause, EnvelopeFactory, Tenant};
use aftercommit_domain::events::{OutboxError, OutboxMessage, OutboxWriter};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{Inbox, InboxClaim, InboxError, InboxMessage, ScheduleWriter, TaskWindows};
use aftercommit_domain::unit_of_work::{CommitError, StoreError, UnitOfWork, UnitOfWorkFactory};
use async_trait::async_trait;

use super::{Faulty, Operation, REASON, Script};

#[async_trait]
impl<P: UnitOfWorkFactory> UnitOfWorkFactory for Faulty<P> {
    async fn begin(&self, tenant: &Tenant, cause: &Cause) -> Result<Box<dyn UnitOfWork>, StoreError> {
        let away = || StoreError::Unavailable {
            operation: "begin",
            reason: REASON.into(),
        };
        let begin = self.inner.begin(tenant, cause);
        let inner = self.script.around(Operation::Begin, begin, away).await?;
        Ok(Box::new(FaultyUnitOfWork {
            inner,
            script: Arc::clone(&self.script),
        }))
    }
}

struct FaultyUnitOfWork {
    inner: Box<dyn UnitOfWork>,
    script: Arc<Script>,
}

#[async_trait]
impl UnitOfWork for FaultyUnitOfWork {
    fn outbox(&mut self) -> Box<dyn OutboxWriter + '_> {
        Box::new(FaultyWriter {
            inner: self.inner.outbox(),
            script: &self.script,
        })
    }

    fn inbox(&mut self) -> Box<dyn Inbox + '_> {
        Box::new(FaultyInbox {
            inner: self.inner.inbox(),
            script: &self.script,
        })
    }

    fn schedules(&mut self) -> Box<dyn ScheduleWriter + '_> {
        self.inner.schedules()
    }

    fn windows(&mut self) -> Box<dyn TaskWindows + '_> {
        self.inner.windows()
    }

    fn tenant(&self) -> &Tenant {
        self.inner.tenant()
    }

    async fn commit(self: Box<Self>) -> Result<(), CommitError> {
        let rolled_back = || CommitError::RolledBack { reason: REASON.into() };
        let unknown = || CommitError::Unknown { reason: REASON.into() };
        let Self { inner, script } = *self;
        script
            .around_either(Operation::Commit, inner.commit(), rolled_back, unknown)
            .await
    }
}

struct FaultyWriter<'t> {
    inner: Box<dyn OutboxWriter + 't>,
    script: &'t Script,
}

#[async_trait]
impl OutboxWriter for FaultyWriter<'_> {
    async fn append(&mut self, messages: Vec<OutboxMessage>) -> Result<Vec<MessageId>, OutboxError> {
        let away = || OutboxError::Unavailable {
            operation: "append",
            reason: REASON.into(),
        };
        let append = self.inner.append(messages);
        self.script.around(Operation::Append, append, away).await
    }

    fn envelopes(&self) -> &EnvelopeFactory {
        self.inner.envelopes()
    }

    fn cause(&self) -> &Cause {
        self.inner.cause()
    }
}

struct FaultyInbox<'t> {
    inner: Box<dyn Inbox + 't>,
    script: &'t Script,
}

#[async_trait]
impl Inbox for FaultyInbox<'_> {
    async fn claim(&mut self, message: &InboxMessage) -> Result<InboxClaim, InboxError> {
        let away = || InboxError::Unavailable {
            operation: "claim",
            reason: REASON.into(),
        };
        let claim = self.inner.claim(message);
        self.script.around(Operation::ClaimMessage, claim, away).await
    }
}
