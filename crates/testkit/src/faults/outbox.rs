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
        let stats = self.inner.stats();
        self.script
            .around(Operation::OutboxStats, stats, outbox_away("stats"))
            .await
    }

    async fn quarantined(&self, limit: u32) -> Result<Vec<QuarantinedRow>, OutboxError> {
        let quarantined = self.inner.quarantined(limit);
        let away = outbox_away("quarantined");
        self.script.around(Operation::Quarantined, quarantined, away).await
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
        let away = event_log_away("record");
        let record = self.inner.record(events);
        self.script.around(Operation::Record, record, away).await
    }

    async fn list(&self, filter: &EventFilter) -> Result<Vec<LoggedEvent>, EventLogError> {
        let list = self.inner.list(filter);
        let away = event_log_away("list");
        self.script.around(Operation::ListEvents, list, away).await
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
        let away = event_log_away("prune");
        let prune = self.inner.prune(before, limit);
        self.script.around(Operation::PruneEvents, prune, away).await
    }

    async fn find(&self, id: MessageId) -> Result<Option<LoggedEvent>, EventLogError> {
        let find = self.inner.find(id);
        let away = event_log_away("find");
        self.script.around(Operation::FindEvent, find, away).await
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
        let away = letters_away("add");
        let add = self.inner.add(letter);
        self.script.around(Operation::Bury, add, away).await
    }

    async fn list(&self, filter: &DeadLetterFilter) -> Result<Vec<DeadLetter>, DeadLettersError> {
        let list = self.inner.list(filter);
        let away = letters_away("list");
        self.script.around(Operation::ListLetters, list, away).await
    }

    async fn find(&self, id: MessageId) -> Result<Option<DeadLetter>, DeadLettersError> {
        let find = self.inner.find(id);
        let away = letters_away("find");
        self.script.around(Operation::FindLetter, find, away).await
    }

    async fn replay(&self, ids: &[MessageId], actor: &str) -> Result<Vec<MessageId>, DeadLettersError> {
        let replay = self.inner.replay(ids, actor);
        let away = letters_away("replay");
        self.script.around(Operation::ReplayLetters, replay, away).await
    }

    async fn discard(&self, ids: &[MessageId], actor: &str) -> Result<Vec<MessageId>, DeadLettersError> {
        let discard = self.inner.discard(ids, actor);
        let away = letters_away("discard");
        self.script.around(Operation::DiscardLetters, discard, away).await
    }
}

const fn outbox_away(operation: &'static str) -> impl Fn() -> OutboxError {
    move || OutboxError::Unavailable {
        operation,
        reason: REASON.into(),
    }
}

const fn event_log_away(operation: &'static str) -> impl Fn() -> EventLogError {
    move || EventLogError::Unavailable {
        operation,
        reason: REASON.into(),
    }
}

const fn letters_away(operation: &'static str) -> impl Fn() -> DeadLettersError {
    move || DeadLettersError::Unavailable {
        operation,
        reason: REASON.into(),
    }
}
