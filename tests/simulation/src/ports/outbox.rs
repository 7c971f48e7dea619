//! The outbox as a process reaches it.

use std::time::Duration;

use aftercommit_domain::contract::TaskEnvelope;
use aftercommit_domain::events::{
    Claim, Claimed, Marked, Outbox, OutboxError, OutboxStats, OutboxTransfer, QuarantinedRow, Release,
};
use async_trait::async_trait;

use super::{Ports, REASON};
use crate::link::Kind;

#[async_trait]
impl Outbox for Ports {
    async fn claim(&self, limit: usize, lease: Duration) -> Result<Vec<Claimed>, OutboxError> {
        let claim = self.store.claim(limit, lease);
        let claimed = self.link.call(Kind::Patient, "claim", claim, away("claim")).await?;
        if claimed.len() > limit {
            let ledger = &self.link.world.ledger;
            ledger.must_not(format!("bounds: {} rows claimed, {limit} asked for", claimed.len()));
        }
        Ok(claimed)
    }

    async fn mark_published(&self, claims: &[Claim]) -> Result<Marked, OutboxError> {
        let mark = self.store.mark_published(claims);
        self.link.call(Kind::Patient, "mark", mark, away("mark")).await
    }

    async fn release(&self, claims: Vec<(Claim, Release)>) -> Result<Marked, OutboxError> {
        let release = self.store.release(claims);
        self.link.call(Kind::Patient, "release", release, away("release")).await
    }

    async fn rescue_expired(&self) -> Result<u64, OutboxError> {
        let rescue = Outbox::rescue_expired(&self.store);
        self.link.call(Kind::Patient, "rescue rows", rescue, away("rescue")).await
    }

    async fn wait(&self, idle: Duration) {
        Outbox::wait(&self.store, idle).await;
    }

    async fn stats(&self) -> Result<OutboxStats, OutboxError> {
        self.store.stats().await
    }

    async fn quarantined(&self, limit: u32) -> Result<Vec<QuarantinedRow>, OutboxError> {
        self.store.quarantined(limit).await
    }
}

#[async_trait]
impl OutboxTransfer for Ports {
    async fn transfer(&self, rows: Vec<(Claim, TaskEnvelope)>) -> Result<Marked, OutboxError> {
        let transfer = self.store.transfer(rows);
        self.link.call(Kind::Impatient, "transfer", transfer, away("transfer")).await
    }
}

const fn away(operation: &'static str) -> impl Fn() -> OutboxError {
    move || OutboxError::Unavailable {
        operation,
        reason: REASON.into(),
    }
}
