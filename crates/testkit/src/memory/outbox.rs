//! The outbox as rows in write order.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use aftercommit_domain::contract::{EventEnvelope, Limits};
use aftercommit_domain::events::{
    Claim, Claimed, LeaseToken, LoggedEvent, Marked, Outbox, OutboxError, OutboxMessage, OutboxStats, QuarantinedRow,
    RawOutboxMessage, Release,
};
use aftercommit_domain::failure::Failure;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::time::{Timestamp, after};
use async_trait::async_trait;

use super::{InMemory, UnpublishedMessage, until};

/// The rows that were not published yet, by position.
#[derive(Default)]
pub(super) struct Rows {
    by_position: BTreeMap<i64, Row>,
    positions: i64,
    tokens: i64,
}

/// What a transaction adds.
pub(super) struct NewRow {
    pub(super) id: MessageId,
    pub(super) ordering: Option<String>,
    pub(super) written_at: Timestamp,
    pub(super) message: RawOutboxMessage,
}

struct Row {
    new: NewRow,
    attempts: u32,
    state: RowState,
}

enum RowState {
    Waiting { not_before: Option<Timestamp> },
    Claimed { token: LeaseToken, until: Timestamp },
    Quarantined { failure: Failure },
}

impl Rows {
    pub(super) fn add(&mut self, rows: Vec<NewRow>) {
        for new in rows {
            self.positions += 1;
            let row = Row {
                new,
                attempts: 0,
                state: RowState::Waiting { not_before: None },
            };
            self.by_position.insert(self.positions, row);
        }
    }

    /// Whether a message of this id has not left yet.
    pub(super) fn has(&self, id: MessageId) -> bool {
        let mut rows = self.by_position.values();
        rows.any(|row| row.new.id == id)
    }

    fn claim(&mut self, limit: usize, now: Timestamp, until: Timestamp) -> Vec<Claimed> {
        self.free_expired(now);
        let positions = self.claimable(now, limit);
        let mut claimed = Vec::with_capacity(positions.len());
        for position in positions {
            self.tokens += 1;
            let token = LeaseToken(self.tokens);
            if let Some(row) = self.by_position.get_mut(&position) {
                row.state = RowState::Claimed { token, until };
                claimed.push(Claimed {
                    claim: Claim { position, token },
                    attempts: row.attempts,
                    written_at: row.new.written_at,
                    message: row.new.message.clone(),
                });
            }
        }
        claimed
    }

    /// The first `limit` rows that may be handed out. A row that cannot holds back what comes after it in its order.
    fn claimable(&self, now: Timestamp, limit: usize) -> Vec<i64> {
        let mut held: HashSet<&str> = HashSet::new();
        let mut positions = Vec::new();
        for (position, row) in &self.by_position {
            if positions.len() >= limit {
                break;
            }
            let ordering = row.new.ordering.as_deref();
            if ordering.is_some_and(|ordering| held.contains(ordering)) {
                continue;
            }
            match &row.state {
                RowState::Waiting { not_before } if not_before.is_none_or(|time| time <= now) => {
                    positions.push(*position);
                }
                RowState::Waiting { .. } | RowState::Claimed { .. } => held.extend(ordering),
                RowState::Quarantined { .. } => {}
            }
        }
        positions
    }

    fn free_expired(&mut self, now: Timestamp) -> u64 {
        let mut freed = 0;
        for row in self.by_position.values_mut() {
            if matches!(row.state, RowState::Claimed { until, .. } if until <= now) {
                row.state = RowState::Waiting { not_before: None };
                freed += 1;
            }
        }
        freed
    }

    pub(super) fn is_current(&self, claim: &Claim) -> bool {
        self.by_position
            .get(&claim.position)
            .is_some_and(|row| matches!(row.state, RowState::Claimed { token, .. } if token == claim.token))
    }

    /// The events among the claimed rows, as they were published.
    pub(super) fn events(&self, claims: &[Claim], limits: &Limits) -> Result<Vec<EventEnvelope>, OutboxError> {
        let mut events = Vec::new();
        for claim in claims.iter().filter(|claim| self.is_current(claim)) {
            let Some(row) = self.by_position.get(&claim.position) else {
                continue;
            };
            match OutboxMessage::from_raw(&row.new.message, limits) {
                Ok(OutboxMessage::Event(mut event)) => {
                    event.sequence = u64::try_from(claim.position).ok();
                    events.push(event);
                }
                Ok(OutboxMessage::Task(_)) => {}
                Err(error) => {
                    return Err(OutboxError::Refused {
                        operation: "mark_published",
                        reason: error.to_string(),
                    });
                }
            }
        }
        Ok(events)
    }

    pub(super) fn remove(&mut self, claims: &[Claim]) -> Marked {
        let mut marked = Marked::default();
        for claim in claims {
            if self.is_current(claim) {
                self.by_position.remove(&claim.position);
                marked.changed += 1;
            } else {
                marked.stale += 1;
            }
        }
        marked
    }

    fn release(&mut self, claims: Vec<(Claim, Release)>, now: Timestamp) -> Marked {
        let mut marked = Marked::default();
        for (claim, release) in claims {
            let current = self.is_current(&claim);
            match self.by_position.get_mut(&claim.position) {
                Some(row) if current => {
                    row.release(release, now);
                    marked.changed += 1;
                }
                Some(_) | None => marked.stale += 1,
            }
        }
        marked
    }

    /// When a row that cannot be claimed at `now` may become so by time alone. One that is due already waits behind
    /// another, whose time it is that counts.
    pub(super) fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        let due = |row: &Row| match &row.state {
            RowState::Waiting { not_before } => not_before.filter(|time| *time > now),
            RowState::Claimed { until, .. } => Some(*until),
            RowState::Quarantined { .. } => None,
        };
        self.by_position.values().filter_map(due).min()
    }

    pub(super) fn unpublished(&self) -> Vec<UnpublishedMessage> {
        let unpublished = |row: &Row| UnpublishedMessage {
            message: row.new.message.clone(),
            quarantined: match &row.state {
                RowState::Quarantined { failure } => Some(failure.to_string()),
                RowState::Waiting { .. } | RowState::Claimed { .. } => None,
            },
        };
        self.by_position.values().map(unpublished).collect()
    }

    pub(super) fn is_at_rest(&self, now: Timestamp) -> bool {
        let is_claimed = |row: &Row| matches!(row.state, RowState::Claimed { .. });
        self.claimable(now, 1).is_empty() && !self.by_position.values().any(is_claimed)
    }

    fn quarantined(&self, limit: u32) -> Vec<QuarantinedRow> {
        let aside = |row: &Row| match &row.state {
            RowState::Quarantined { failure } => Some(QuarantinedRow {
                written_at: row.new.written_at,
                message: row.new.message.clone(),
                reason: failure.to_string(),
            }),
            RowState::Waiting { .. } | RowState::Claimed { .. } => None,
        };
        self.by_position
            .values()
            .rev()
            .filter_map(aside)
            .take(limit as usize)
            .collect()
    }

    /// Every message, and why it is kept aside, if it is.
    pub(super) fn messages(&self) -> impl Iterator<Item = (&RawOutboxMessage, Option<String>)> {
        self.by_position.values().map(|row| {
            let set_aside = match &row.state {
                RowState::Quarantined { failure } => Some(failure.to_string()),
                RowState::Waiting { .. } | RowState::Claimed { .. } => None,
            };
            (&row.new.message, set_aside)
        })
    }

    /// Whether this message waits to be published, and is not kept aside.
    pub(super) fn has_waiting(&self, id: MessageId) -> bool {
        let quarantined = |row: &Row| matches!(row.state, RowState::Quarantined { .. });
        self.by_position
            .values()
            .any(|row| row.new.id == id && !quarantined(row))
    }

    fn stats(&self) -> OutboxStats {
        let count = |is: fn(&RowState) -> bool| self.by_position.values().filter(|row| is(&row.state)).count() as u64;
        let quarantined = |state: &RowState| matches!(state, RowState::Quarantined { .. });
        OutboxStats {
            waiting: count(|state| matches!(state, RowState::Waiting { .. })),
            claimed: count(|state| matches!(state, RowState::Claimed { .. })),
            quarantined: count(quarantined),
            oldest: self
                .by_position
                .values()
                .filter(|row| !quarantined(&row.state))
                .map(|row| row.new.written_at)
                .min(),
        }
    }
}

impl Row {
    fn release(&mut self, release: Release, now: Timestamp) {
        self.state = match release {
            Release::Untouched => RowState::Waiting { not_before: None },
            Release::Quarantine { failure } => RowState::Quarantined { failure },
            Release::Retry {
                after: delay, counted, ..
            } => {
                self.attempts += u32::from(counted);
                RowState::Waiting {
                    not_before: Some(after(now, delay)),
                }
            }
        };
    }
}

#[async_trait]
impl Outbox for InMemory {
    async fn claim(&self, limit: usize, lease: Duration) -> Result<Vec<Claimed>, OutboxError> {
        let now = self.now();
        Ok(self.lock().outbox.claim(limit, now, after(now, lease)))
    }

    async fn mark_published(&self, claims: &[Claim]) -> Result<Marked, OutboxError> {
        let now = self.now();
        let marked = {
            let mut state = self.lock();
            // Everything that can fail comes first, so that it is all or nothing.
            let events = state.outbox.events(claims, self.limits())?;
            state.events.record(events.into_iter().map(|event| LoggedEvent {
                event,
                published_at: now,
            }));
            state.outbox.remove(claims)
        };
        // What waited behind a published row may go now.
        self.shared.outbox_changed.notify_waiters();
        Ok(marked)
    }

    async fn release(&self, claims: Vec<(Claim, Release)>) -> Result<Marked, OutboxError> {
        let marked = self.lock().outbox.release(claims, self.now());
        self.shared.outbox_changed.notify_waiters();
        Ok(marked)
    }

    async fn rescue_expired(&self) -> Result<u64, OutboxError> {
        let freed = self.lock().outbox.free_expired(self.now());
        self.shared.outbox_changed.notify_waiters();
        Ok(freed)
    }

    async fn wait(&self, idle: Duration) {
        let changed = self.shared.outbox_changed.notified();
        tokio::pin!(changed);
        // Armed before the look, so that a commit between the two is not missed.
        changed.as_mut().enable();
        let now = self.now();
        let due = {
            let state = self.lock();
            if !state.outbox.claimable(now, 1).is_empty() {
                return;
            }
            state.outbox.next_due(now)
        };
        let wait = due.map_or(idle, |due| until(now, due).min(idle));
        tokio::select! {
            biased;
            () = changed => {}
            () = tokio::time::sleep(wait) => {}
        }
    }

    async fn stats(&self) -> Result<OutboxStats, OutboxError> {
        Ok(self.lock().outbox.stats())
    }

    async fn quarantined(&self, limit: u32) -> Result<Vec<QuarantinedRow>, OutboxError> {
        Ok(self.lock().outbox.quarantined(limit))
    }
}
