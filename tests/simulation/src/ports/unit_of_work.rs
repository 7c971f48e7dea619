//! A transaction of a process: effects and outgoing messages, kept together or not at all.

use std::sync::Arc;

use aftercommit_domain::contract::{Cause, EnvelopeFactory, Tenant};
use aftercommit_domain::events::{OutboxError, OutboxMessage, OutboxWriter};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{Inbox, InboxClaim, InboxError, InboxMessage};
use aftercommit_domain::unit_of_work::{CommitError, StoreError, UnitOfWork, UnitOfWorkFactory};
use async_trait::async_trait;

use super::{Ports, REASON};
use crate::contracts::{Change, Work};
use crate::ledger::Books;
use crate::link::{Kind, Link};

/// What is written in the ledger when the transaction commits.
pub(crate) type Entry = Box<dyn FnOnce(&mut Books) + Send>;

/// An open transaction of a process.
pub(crate) struct Transaction {
    inner: Box<dyn UnitOfWork>,
    link: Arc<Link>,
    entries: Vec<Entry>,
}

impl Transaction {
    pub(crate) async fn begin(ports: &Ports, tenant: &Tenant, cause: &Cause) -> Result<Self, StoreError> {
        let lost = || StoreError::Unavailable {
            operation: "begin",
            reason: REASON.into(),
        };
        let begin = ports.store.begin(tenant, cause);
        Ok(Self {
            inner: ports.link.call(Kind::Patient, "begin", begin, lost).await?,
            link: Arc::clone(&ports.link),
            entries: Vec::new(),
        })
    }

    pub(crate) fn outbox(&mut self) -> Box<dyn OutboxWriter + '_> {
        Box::new(Writer {
            inner: self.inner.outbox(),
            link: &self.link,
        })
    }

    pub(crate) fn inbox(&mut self) -> Box<dyn Inbox + '_> {
        Box::new(Claiming {
            inner: self.inner.inbox(),
            link: &self.link,
        })
    }

    /// The effect of a handler: part of the transaction.
    pub(crate) fn effect(&mut self, work: Work, change: Change) {
        self.entry(Box::new(move |books| books.effects.push((work, change))));
    }

    /// Something the application's own tables would hold.
    pub(crate) fn entry(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    pub(crate) async fn commit(self) -> Result<(), CommitError> {
        let Self { inner, link, entries } = self;
        let lost = || CommitError::Unknown { reason: REASON.into() };
        let commit = async {
            inner.commit().await?;
            // Nothing comes between the two: there is no await.
            let mut books = link.world.ledger.books();
            for entry in entries {
                entry(&mut books);
            }
            Ok(())
        };
        link.call(Kind::Patient, "commit", commit, lost).await
    }
}

struct Writer<'t> {
    inner: Box<dyn OutboxWriter + 't>,
    link: &'t Arc<Link>,
}

#[async_trait]
impl OutboxWriter for Writer<'_> {
    async fn append(&mut self, messages: Vec<OutboxMessage>) -> Result<Vec<MessageId>, OutboxError> {
        let lost = || OutboxError::Unavailable {
            operation: "append",
            reason: REASON.into(),
        };
        let append = self.inner.append(messages);
        self.link.call(Kind::Patient, "append", append, lost).await
    }

    fn envelopes(&self) -> &EnvelopeFactory {
        self.inner.envelopes()
    }

    fn cause(&self) -> &Cause {
        self.inner.cause()
    }
}

struct Claiming<'t> {
    inner: Box<dyn Inbox + 't>,
    link: &'t Arc<Link>,
}

#[async_trait]
impl Inbox for Claiming<'_> {
    async fn claim(&mut self, message: &InboxMessage) -> Result<InboxClaim, InboxError> {
        let lost = || InboxError::Unavailable {
            operation: "claim",
            reason: REASON.into(),
        };
        let claim = self.inner.claim(message);
        self.link.call(Kind::Patient, "claim task", claim, lost).await
    }
}
