//! Orders to cancel tasks.

use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{CancelOrder, Cancelled, Reason, TaskCancellations, TaskState, Unseen};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;
use uuid::Uuid;

use crate::columns::text;
use crate::queue::PostgresQueue;
use crate::task_inspector::state_named;

/// An order as a row.
type Row = (Uuid, String, String);

#[async_trait]
impl TaskCancellations for PostgresQueue {
    async fn cancel(&self, order: &CancelOrder, unseen: Unseen) -> Result<Cancelled, StoreError> {
        let order = order.clone();
        let word: String = self
            .inner
            .console
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query_scalar("SELECT aftercommit.task_cancel($1, $2, $3, $4, $5)")
                        .bind(order.task.uuid())
                        .bind(text(&order.actor))
                        .bind(text(order.reason.as_str()))
                        .bind(text(order.outcome().as_str()))
                        .bind(unseen == Unseen::MayBeElsewhere)
                        .fetch_one(connection)
                        .await
                })
            })
            .await
            .map_err(|trouble| trouble.into_store_error("cancel a task"))?;
        Ok(match word.as_str() {
            "ended" => Cancelled::Ended,
            "requested" => Cancelled::Requested,
            "unknown" => Cancelled::Unknown,
            state => Cancelled::Over(state_named(state).unwrap_or(TaskState::Completed)),
        })
    }

    async fn outstanding(&self, limit: u32) -> Result<Vec<CancelOrder>, StoreError> {
        let rows: Vec<Row> = self
            .inner
            .maintenance
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query_as(
                        "SELECT ordered_task, ordered_by, ordered_why FROM aftercommit.cancel_orders_outstanding($1)",
                    )
                    .bind(i32::try_from(limit).unwrap_or(i32::MAX))
                    .fetch_all(connection)
                    .await
                })
            })
            .await
            .map_err(|trouble| trouble.into_store_error("list orders"))?;
        Ok(rows.into_iter().map(order).collect())
    }

    async fn find(&self, task: MessageId) -> Result<Option<CancelOrder>, StoreError> {
        let row: Option<Row> = self
            .inner
            .engine
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query_as("SELECT task, actor, reason FROM aftercommit.cancel_orders WHERE task = $1")
                        .bind(task.uuid())
                        .fetch_optional(connection)
                        .await
                })
            })
            .await
            .map_err(|trouble| trouble.into_store_error("find an order"))?;
        Ok(row.map(order))
    }

    async fn prune_orders(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let done = self
            .inner
            .maintenance
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query(
                        "DELETE FROM aftercommit.cancel_orders WHERE task IN (\
                           SELECT one.task FROM aftercommit.cancel_orders AS one WHERE one.ordered_at < $1 \
                             AND NOT EXISTS (SELECT FROM aftercommit.tasks AS task WHERE task.id = one.task) \
                           ORDER BY one.ordered_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
                    )
                    .bind(before)
                    .bind(i64::from(limit))
                    .execute(connection)
                    .await
                })
            })
            .await
            .map_err(|trouble| trouble.into_store_error("forget old orders"))?;
        Ok(done.rows_affected())
    }
}

fn order((task, actor, reason): Row) -> CancelOrder {
    CancelOrder {
        task: task.into(),
        actor,
        reason: Reason::new(reason),
    }
}
