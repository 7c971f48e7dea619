//! Keeping the queue tidy.

use std::collections::HashSet;
use std::sync::Arc;

use aftercommit_domain::tasks::{ConsumeError, QueueMaintenance};
use aftercommit_domain::time::Timestamp;
use async_trait::async_trait;

use crate::claims::{Expired, Topic};
use crate::columns::micros;
use crate::queue::SqliteQueue;
use crate::queue::consumer::unavailable;
use crate::queue::settlement::record_lost;

#[async_trait]
impl QueueMaintenance for SqliteQueue {
    async fn rescue_expired(&self) -> Result<u64, ConsumeError> {
        let database = &self.database;
        let now = micros(database.services.clock.now());
        let mut expired: Vec<(Arc<Topic>, Expired)> = Vec::new();
        for topic in database.topics.all() {
            for lease in topic.expired(now) {
                // From here on the one who had it can no longer settle.
                if topic.revoke(lease) {
                    expired.push((Arc::clone(&topic), lease));
                }
            }
        }
        if expired.is_empty() {
            return Ok(0);
        }
        let lost: Vec<i64> = expired
            .iter()
            .filter(|(_, lease)| lease.is_lost)
            .map(|(_, lease)| lease.seq)
            .collect();
        let rescued = u64::try_from(expired.len()).unwrap_or(u64::MAX);
        let max_lost_runs = database.options.max_lost_runs;
        let (topics, sheet) = (Arc::clone(&database.topics), Arc::clone(&database.sheet));
        database
            .writer
            .call(
                move |connection| {
                    let lost = lost.clone();
                    // The process lives, so each of them was lost by its own worker.
                    Box::pin(async move { record_lost(connection, &lost, true, max_lost_runs, now).await })
                },
                move |result| {
                    // When it was not written the leases stay revoked and expired, and the next rescue tries again.
                    if result.is_err() {
                        return;
                    }
                    let mut woken = HashSet::new();
                    for (topic, lease) in expired {
                        sheet.end(topic.forget([(lease.seq, lease.token)], &topics));
                        if woken.insert(Arc::as_ptr(&topic)) {
                            topic.wake.bump();
                        }
                    }
                },
            )
            .await
            .map_err(|error| unavailable("rescue", &error))?;
        Ok(rescued)
    }

    async fn prune_outcomes(&self, before: Timestamp, limit: u32) -> Result<u64, ConsumeError> {
        let before = micros(before);
        self.database
            .writer
            .call(
                move |connection| {
                    Box::pin(async move {
                        // They were written in the order they ended, so the oldest are the first.
                        let done = sqlx::query(
                            "DELETE FROM aftercommit_task_outcomes WHERE entry IN (\
                               SELECT entry FROM (SELECT entry, finished_at FROM aftercommit_task_outcomes \
                                                  ORDER BY entry LIMIT ?2) \
                               WHERE finished_at < ?1)",
                        )
                        .bind(before)
                        .bind(i64::from(limit))
                        .execute(connection)
                        .await?;
                        Ok(done.rows_affected())
                    })
                },
                |_| {},
            )
            .await
            .map_err(|error| unavailable("prune", &error))
    }
}
