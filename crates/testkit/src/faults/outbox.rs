//! Faults of the outbox, the event log and the dead letters.

use std::time::Duration;

use aftercommit_domain::contract::{EventEnvelope, TaskEnvelope};
use aftercommit_domain::events::{
    Claim, Claimed, EventCursor, EventFilter, EventLog, EventLogError, LoggedEvent, Marked, Outbox, OutboxError,
    OutboxStats, OutboxTransfer, QuarantinedRow, Release,
};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    DeadLetter, DeadLetterFilter, DeadLetters, DeadLettersError, InboxError, InboxMaintenance,
};
use aftercommit_domain::time::Timestamp;
use async_trait::async_trait;

use super::{Faulty, Operation, REASON};

#[async_trait]
impl<P: Outbox> Outbox for Faulty<P> {
    async fn claim(&self, limit: usize, lease: Duration) -> Result<Vec<Claimed>, OutboxError> {
        let claim = self.inner.claim(limit, lease);
        self.script.around(Operation::Claim, claim, outbox_away("claim")).await
    }

    async fn mark_published(&self, claims: &[Claim]) -> Result<Marked, OutboxError> {
        let mark = self.inner.mark_published(claims);
        let away = outbox_away("mark_published");
        self.script.around(Operation::MarkPublished, mark, away).await
    }

    async fn release(&self, claims: Vec<(Claim, Release)>) -> Result<Marked, OutboxError> {
        let release = self.inner.release(claims);
        let away = outbox_away("release");
        self.script.around(Operation::Release, release, away).await
    }

    async fn rescue_expired(&self) -> Result<u64, OutboxError> {
        let away = outbox_away("rescue_expired");
        let rescue = self.inner.rescue_expired();
        self.script.around(Operation::RescueRows, rescue, away).await
    }

    async fn wait(&self, idle: Duration) {
        self.inner.wait(idle).await;
    }

    async fn stats(&self) -> Result<OutboxStats, OutboxError> {
        self.inner.stats().await
    }

    async fn quarantined(&self, limit: u32) -> Result<Vec<QuarantinedRow>, OutboxError> {
        self.inner.quarantined(limit).await
    }
}

#[async_trait]
impl<P: OutboxTransfer> OutboxTransfer for Faulty<P> {
    async fn transfer(&self, rows: Vec<(Claim, TaskEnvelope)>) -> Result<Marked, OutboxError> {
        let refusal = self.script.lock().refusal.clone();
        let refused = refusal.and_then(|rule| rows.iter().find_map(|(_, task)| rule(task)));
        let transfer = async {
            match refused {
                Some(error) => Err(OutboxError::Refused {
                    operation: "transfer",
                    reason: error.to_string(),
                }),
                None => self.inner.transfer(rows).await,
            }
        };
        let away = outbox_away("transfer");
        self.script.around(Operation::Transfer, transfer, away).await
    }
}

#[async_trait]
impl<P: EventLog> EventLog for Faulty<P> {
    async fn record(&self, events: &[EventEnvelope]) -> Result<(), EventLogError> {
        let away = || EventLogError::Unavailable {
            operation: "record",
            reason: REASON.into(),
        };
        let record = self.inner.record(events);
        self.script.around(Operation::Record, record, away).await
    }

    async fn list(&self, filter: &EventFilter) -> Result<Vec<LoggedEvent>, EventLogError> {
        self.inner.list(filter).await
    }

    async fn page(
        &self,
        filter: &EventFilter,
        after: Option<&EventCursor>,
        limit: u32,
    ) -> Result<Vec<LoggedEvent>, EventLogError> {
        self.inner.page(filter, after, limit).await
    }

    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, EventLogError> {
        let away = || EventLogError::Unavailable {
            operation: "prune",
            reason: REASON.into(),
        };
        let prune = self.inner.prune(before, limit);
        self.script.around(Operation::PruneEvents, prune, away).await
    }

    async fn find(&self, id: MessageId) -> Result<Option<LoggedEvent>, EventLogError> {
        self.inner.find(id).await
    }
}

#[async_trait]
impl<P: InboxMaintenance> InboxMaintenance for Faulty<P> {
    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, InboxError> {
        let away = || InboxError::Unavailable {
            operation: "prune",
            reason: REASON.into(),
        };
        let prune = self.inner.prune(before, limit);
        self.script.around(Operation::PruneClaims, prune, away).await
    }
}

#[async_trait]
impl<P: DeadLetters> DeadLetters for Faulty<P> {
    async fn add(&self, letter: DeadLetter) -> Result<(), DeadLettersError> {
        let away = || DeadLettersError::Unavailable {
            operation: "add",
            reason: REASON.into(),
        };
        let add = self.inner.add(letter);
        self.script.around(Operation::Bury, add, away).await
    }

    async fn list(&self, filter: &DeadLetterFilter) -> Result<Vec<DeadLetter>, DeadLettersError> {
        self.inner.list(filter).await
    }

    async fn find(&self, id: MessageId) -> Result<Option<DeadLetter>, DeadLettersError> {
        self.inner.find(id).await
    }

    async fn replay(&self, ids: &[MessageId], actor: &str) -> Result<Vec<MessageId>, DeadLettersError> {
        self.inner.replay(ids, actor).await
    }

    async fn discard(&self, ids: &[MessageId], actor: &str) -> Result<Vec<MessageId>, DeadLettersError> {
        self.inner.discard(ids, actor).await
    }
}

const fn outbox_away(operation: &'static str) -> impl FnOnce() -> OutboxError {
    move || OutboxError::Unavailable {
        operation,
        reason: REASON.into(),
    }
}
