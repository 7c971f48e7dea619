//! What keeps the queue tidy.

use aftercommit_domain::tasks::{ConsumeError, QueueMaintenance};
use aftercommit_domain::time::Timestamp;
use async_trait::async_trait;

use crate::queue::AmqpQueue;

#[async_trait]
impl QueueMaintenance for AmqpQueue {
    /// The broker gives lost tasks back by itself; what it gave up becomes dead letters here.
    async fn rescue_expired(&self) -> Result<u64, ConsumeError> {
        let rescued = self.inner.stores.maintenance.rescue_expired().await;
        let drained = self.inner.drain().await;
        let rescued = rescued?;
        drained?;
        Ok(rescued)
    }

    async fn prune_outcomes(&self, before: Timestamp, limit: u32) -> Result<u64, ConsumeError> {
        self.inner.stores.maintenance.prune_outcomes(before, limit).await
    }
}
