//! The waiting tasks of a key, changed in an open transaction.

use std::fmt;

use aftercommit_domain::contract::Tenant;
use aftercommit_domain::tasks::{Reason, TaskKey, TaskWindows, WaitingTask};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;
use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use crate::columns::{attempts, json_list, micros, store_error, timestamp};
use crate::queue::insertion::promote;
use crate::transaction::SqliteTransaction;

/// What waits under keys, in an open transaction of `tenant`; `now` is the time of what it changes.
pub fn create_task_windows(
    transaction: &mut SqliteTransaction,
    tenant: Tenant,
    now: Timestamp,
) -> SqliteTaskWindows<'_> {
    SqliteTaskWindows {
        transaction,
        tenant,
        now,
    }
}

/// What waits under keys, in one open transaction.
pub struct SqliteTaskWindows<'t> {
    transaction: &'t mut SqliteTransaction,
    tenant: Tenant,
    now: Timestamp,
}

/// An unfinished task, as it is changed.
#[derive(FromRow)]
pub(crate) struct UnfinishedRow {
    pub(crate) seq: i64,
    id: Uuid,
    pub(crate) topic: String,
    order_scope: Option<String>,
    due_at: i64,
    attempts: i64,
}

#[async_trait]
impl TaskWindows for SqliteTaskWindows<'_> {
    async fn waiting(&mut self, key: &TaskKey) -> Result<Vec<WaitingTask>, StoreError> {
        let rows = self.rows(key).await?;
        let topic = self.transaction.topics().topic(&key.topic);
        let waiting = rows.into_iter().filter(|row| !topic.is_running(row.seq));
        let waiting = waiting.map(|row| WaitingTask {
            id: row.id.into(),
            due_at: timestamp(row.due_at),
            attempts: attempts(row.attempts),
        });
        Ok(waiting.collect())
    }

    async fn cancel(&mut self, key: &TaskKey, reason: &Reason) -> Result<u64, StoreError> {
        let rows = self.withheld(key).await?;
        cancel(self.transaction, &rows, reason, micros(self.now))
            .await
            .map_err(|error| store_error("cancel what waits under a key", &error))?;
        Ok(rows.len() as u64)
    }

    async fn move_to(&mut self, key: &TaskKey, run_at: Timestamp) -> Result<u64, StoreError> {
        let rows = self.withheld(key).await?;
        sqlx::query("UPDATE aftercommit_tasks SET due_at = ?2 WHERE seq IN (SELECT value FROM json_each(?1))")
            .bind(json_list(rows.iter().map(|row| row.seq)))
            .bind(micros(run_at.max(self.now)))
            .execute(&mut **self.transaction)
            .await
            .map_err(|error| store_error("move what waits under a key", &error))?;
        Ok(rows.len() as u64)
    }
}

impl SqliteTaskWindows<'_> {
    async fn rows(&mut self, key: &TaskKey) -> Result<Vec<UnfinishedRow>, StoreError> {
        key.check_tenant(&self.tenant)?;
        sqlx::query_as(
            "SELECT seq, id, topic, order_scope, due_at, attempts FROM aftercommit_tasks \
             WHERE topic = ?1 AND window_scope = ?2 ORDER BY seq",
        )
        .bind(key.topic.as_str())
        .bind(key.scope())
        .fetch_all(&mut **self.transaction)
        .await
        .map_err(|error| store_error("read what waits under a key", &error))
    }

    /// Those that nobody has; nobody is handed them from here on.
    async fn withheld(&mut self, key: &TaskKey) -> Result<Vec<UnfinishedRow>, StoreError> {
        let mut rows = self.rows(key).await?;
        rows.retain(|row| self.transaction.withhold(&key.topic, row.seq));
        Ok(rows)
    }
}

impl fmt::Debug for SqliteTaskWindows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteTaskWindows")
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

/// Ends tasks that nobody has.
pub(crate) async fn cancel(
    connection: &mut SqliteConnection,
    rows: &[UnfinishedRow],
    reason: &Reason,
    now: i64,
) -> Result<(), sqlx::Error> {
    let seqs = json_list(rows.iter().map(|row| row.seq));
    sqlx::query(
        "INSERT INTO aftercommit_task_outcomes (id, topic, task, organization_id, project_id, attempts, outcome, reason, \
           enqueued_at, finished_at, correlation_id, causation_id) \
         SELECT id, topic, task, organization_id, project_id, attempts, 'cancelled', ?2, enqueued_at, ?3, \
           correlation_id, causation_id \
         FROM aftercommit_tasks WHERE seq IN (SELECT value FROM json_each(?1))",
    )
    .bind(&seqs)
    .bind(reason.as_str())
    .bind(now)
    .execute(&mut *connection)
    .await?;
    sqlx::query("DELETE FROM aftercommit_tasks WHERE seq IN (SELECT value FROM json_each(?1))")
        .bind(seqs)
        .execute(&mut *connection)
        .await?;
    let keys = rows
        .iter()
        .filter_map(|row| Some((row.topic.as_str(), row.order_scope.as_deref()?)));
    promote(connection, keys).await
}
