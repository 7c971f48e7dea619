//! Keeping the queue tidy.

use aftercommit_domain::tasks::{ConsumeError, QueueMaintenance};
use aftercommit_domain::time::Timestamp;
use async_trait::async_trait;

use crate::queue::PostgresQueue;
use crate::queue::consumer::unavailable;
use crate::statement::Trouble;

/// The most looks of one rescue; each frees what a few processes had.
const LOOKS: usize = 64;

#[async_trait]
impl QueueMaintenance for PostgresQueue {
    async fn rescue_expired(&self) -> Result<u64, ConsumeError> {
        self.rescue().await.map_err(|error| unavailable("rescue", &error))
    }

    async fn prune_outcomes(&self, before: Timestamp, limit: u32) -> Result<u64, ConsumeError> {
        let done = self
            .inner
            .maintenance
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query(
                        "DELETE FROM aftercommit.task_outcomes WHERE entry IN (\
                           SELECT entry FROM aftercommit.task_outcomes WHERE finished_at < $1 \
                           ORDER BY finished_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
                    )
                    .bind(before)
                    .bind(i64::from(limit))
                    .execute(connection)
                    .await
                })
            })
            .await
            .map_err(|error| unavailable("prune", &error))?;
        Ok(done.rows_affected())
    }
}

impl PostgresQueue {
    async fn rescue(&self) -> Result<u64, Trouble> {
        let leases = &self.inner.leases;
        let mut freed = leases.free_let_go().await?;
        // A process that slept keeps what nobody took from it.
        leases.renew().await?;
        for _ in 0..LOOKS {
            let rescued = leases.lost_runs.rescue(&leases.statements, &leases.topics).await?;
            freed += rescued.tasks;
            // Behind processes that had nothing may be one that has.
            if rescued.is_over {
                break;
            }
        }
        Ok(freed)
    }
}
