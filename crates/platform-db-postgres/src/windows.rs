//! The waiting tasks of a key, changed in an open transaction.

use std::fmt;

use aftercommit_domain::contract::{OrganizationId, ProjectId, Tenant};
use aftercommit_domain::tasks::{Reason, TaskKey, TaskWindows, WaitingTask};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::outbox::rows::scope_of;
use crate::trouble::store_error;

const CHANGE: &str = "SELECT changed_id, changed_due_at, changed_attempts \
    FROM aftercommit.windows_change($1, $2, $3, $4, $5, $6, $7, $8)";

/// What waits under keys, in an open transaction of `tenant`: a unit of work's, or one of the application's own on whatever
/// pool of the database.
pub fn create_task_windows(connection: &mut PgConnection, tenant: Tenant) -> PostgresTaskWindows<'_> {
    PostgresTaskWindows { connection, tenant }
}

/// What waits under keys, in one open transaction. Whoever publishes under a key that was changed waits for its end.
pub struct PostgresTaskWindows<'t> {
    connection: &'t mut PgConnection,
    tenant: Tenant,
}

/// What is done to what waits.
enum Change<'c> {
    List,
    Cancel(&'c Reason),
    Move(Timestamp),
}

#[derive(FromRow)]
struct ChangedRow {
    changed_id: Uuid,
    changed_due_at: Timestamp,
    changed_attempts: i32,
}

#[async_trait]
impl TaskWindows for PostgresTaskWindows<'_> {
    async fn waiting(&mut self, key: &TaskKey) -> Result<Vec<WaitingTask>, StoreError> {
        let rows = self.change(key, Change::List).await?;
        let waiting = rows.into_iter().map(|row| WaitingTask {
            id: row.changed_id.into(),
            due_at: row.changed_due_at,
            attempts: u32::try_from(row.changed_attempts).unwrap_or(0),
        });
        Ok(waiting.collect())
    }

    async fn cancel(&mut self, key: &TaskKey, reason: &Reason) -> Result<u64, StoreError> {
        Ok(self.change(key, Change::Cancel(reason)).await?.len() as u64)
    }

    async fn move_to(&mut self, key: &TaskKey, run_at: Timestamp) -> Result<u64, StoreError> {
        Ok(self.change(key, Change::Move(run_at)).await?.len() as u64)
    }
}

impl PostgresTaskWindows<'_> {
    async fn change(&mut self, key: &TaskKey, change: Change<'_>) -> Result<Vec<ChangedRow>, StoreError> {
        key.check_tenant(&self.tenant)?;
        let (word, run_at, reason) = match change {
            Change::List => ("list", None, None),
            Change::Cancel(reason) => ("cancel", None, Some(reason.as_str())),
            Change::Move(run_at) => ("move", Some(run_at), None),
        };
        sqlx::query_as(CHANGE)
            .bind(word)
            .bind(key.topic.as_str())
            .bind(key.scope())
            .bind(run_at)
            .bind(reason)
            .bind(scope_of(&self.tenant))
            .bind(self.tenant.organization_id().map(OrganizationId::as_str))
            .bind(self.tenant.project_id().map(ProjectId::as_str))
            .fetch_all(&mut *self.connection)
            .await
            .map_err(|error| store_error("change what waits under a key", &error))
    }
}

impl fmt::Debug for PostgresTaskWindows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresTaskWindows")
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}
