//! The outbox as a process reaches it.

use std::time::Duration;

use aftercommit_domain::contract::TaskEnvelope;
use aftercommit_domain::events::{
    Claim, Claimed, Marked, Outbox, OutboxError, OutboxStats, OutboxTransfer, QuarantinedRow, Release,
};
use async_trait::async_trait;

use super::{Ports, REASON};
use crate::fences;
use crate::link::Kind;

#[async_trait]
impl Outbox for Ports {
    async fn claim(&self, limit: usize, lease: Duration) -> Result<Vec<Claimed>, OutboxError> {
        let world = &self.link.world;
        let claim = async {
            let claimed = self.store.claim(limit, lease).await;
            world.fences.claimed(claimed.as_deref().unwrap_or_default());
            claimed
        };
        let claimed = self.link.call(Kind::Patient, "claim", claim, away("claim")).await?;
        if claimed.len() > limit {
            world
                .ledger
                .must_not(format!("bounds: {} rows claimed, {limit} asked for", claimed.len()));
        }
        Ok(claimed)
    }

    async fn mark_published(&self, claims: &[Claim]) -> Result<Marked, OutboxError> {
        let mark = self.fenced(claims.to_vec(), self.store.mark_published(claims));
        self.link.call(Kind::Patient, "mark", mark, away("mark")).await
    }

    async fn release(&self, claims: Vec<(Claim, Release)>) -> Result<Marked, OutboxError> {
        let own = claims.iter().map(|(claim, _)| *claim).collect();
        let release = self.fenced(own, self.store.release(claims));
        self.link.call(Kind::Patient, "release", release, away("release")).await
    }

    async fn rescue_expired(&self) -> Result<u64, OutboxError> {
        let rescue = Outbox::rescue_expired(&self.store);
        self.link
            .call(Kind::Patient, "rescue rows", rescue, away("rescue"))
            .await
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
        let own = rows.iter().map(|(claim, _)| *claim).collect();
        let transfer = self.fenced(own, self.store.transfer(rows));
        self.link
            .call(Kind::Impatient, "transfer", transfer, away("transfer"))
            .await
    }
}

impl Ports {
    /// Sees to it that a write-back changes no rows of others.
    async fn fenced(
        &self,
        claims: Vec<Claim>,
        write_back: impl Future<Output = Result<Marked, OutboxError>> + Send,
    ) -> Result<Marked, OutboxError> {
        let world = &self.link.world;
        let lost = world.fences.lost(&claims);
        let marked = write_back.await?;
        if let Some(broken) = fences::broken(marked, claims.len(), lost) {
            world.ledger.must_not(broken);
        }
        Ok(marked)
    }
}

const fn away(operation: &'static str) -> impl Fn() -> OutboxError {
    move || OutboxError::Unavailable {
        operation,
        reason: REASON.into(),
    }
}
