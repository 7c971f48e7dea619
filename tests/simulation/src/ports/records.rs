//! The event log, the dead letters and the upkeep as a process reaches them.

use aftercommit_domain::contract::EventEnvelope;
use aftercommit_domain::events::{EventCursor, EventFilter, EventLog, EventLogError, LoggedEvent};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    ConsumeError, DeadLetter, DeadLetterFilter, DeadLetters, DeadLettersError, InboxError, InboxMaintenance,
    QueueMaintenance,
};
use aftercommit_domain::time::Timestamp;
use async_trait::async_trait;

use super::{Ports, REASON};
use crate::link::Kind;

#[async_trait]
impl EventLog for Ports {
    async fn record(&self, events: &[EventEnvelope]) -> Result<(), EventLogError> {
        let lost = || EventLogError::Unavailable {
            operation: "record",
            reason: REASON.into(),
        };
        let record = self.store.record(events);
        self.link.call(Kind::Patient, "log event", record, lost).await
    }

    async fn list(&self, filter: &EventFilter) -> Result<Vec<LoggedEvent>, EventLogError> {
        EventLog::list(&self.store, filter).await
    }

    async fn page(
        &self,
        filter: &EventFilter,
        after: Option<&EventCursor>,
        limit: u32,
    ) -> Result<Vec<LoggedEvent>, EventLogError> {
        EventLog::page(&self.store, filter, after, limit).await
    }

    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, EventLogError> {
        EventLog::prune(&self.store, before, limit).await
    }

    async fn find(&self, id: MessageId) -> Result<Option<LoggedEvent>, EventLogError> {
        EventLog::find(&self.store, id).await
    }
}

#[async_trait]
impl DeadLetters for Ports {
    async fn add(&self, letter: DeadLetter) -> Result<(), DeadLettersError> {
        let lost = || DeadLettersError::Unavailable {
            operation: "add",
            reason: REASON.into(),
        };
        let add = self.store.add(letter);
        self.link.call(Kind::Patient, "bury", add, lost).await
    }

    async fn list(&self, filter: &DeadLetterFilter) -> Result<Vec<DeadLetter>, DeadLettersError> {
        DeadLetters::list(&self.store, filter).await
    }

    async fn find(&self, id: MessageId) -> Result<Option<DeadLetter>, DeadLettersError> {
        DeadLetters::find(&self.store, id).await
    }

    async fn replay(&self, ids: &[MessageId], actor: &str) -> Result<Vec<MessageId>, DeadLettersError> {
        self.store.replay(ids, actor).await
    }

    async fn discard(&self, ids: &[MessageId], actor: &str) -> Result<Vec<MessageId>, DeadLettersError> {
        self.store.discard(ids, actor).await
    }
}

#[async_trait]
impl QueueMaintenance for Ports {
    async fn rescue_expired(&self) -> Result<u64, ConsumeError> {
        let lost = || ConsumeError::Unavailable {
            operation: "rescue",
            reason: REASON.into(),
        };
        let rescue = QueueMaintenance::rescue_expired(&self.store);
        self.link.call(Kind::Patient, "rescue tasks", rescue, lost).await
    }

    async fn prune_outcomes(&self, before: Timestamp, limit: u32) -> Result<u64, ConsumeError> {
        self.store.prune_outcomes(before, limit).await
    }
}

#[async_trait]
impl InboxMaintenance for Ports {
    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, InboxError> {
        InboxMaintenance::prune(&self.store, before, limit).await
    }
}
