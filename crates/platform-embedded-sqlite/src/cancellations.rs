//! Orders to cancel tasks.

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{CancelOrder, Cancelled, Reason, TaskCancellations, TaskState, Unseen};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;
use sqlx::FromRow;
use uuid::Uuid;

use crate::columns::{micros, store_error};
use crate::queue::SqliteQueue;
use crate::task_inspector::state_named;
use crate::transaction::SqliteTransaction;
use crate::windows::{UnfinishedRow, cancel};

/// Orders that are carried out in one transaction.
const MOST_AT_ONCE: u32 = 1000;

#[derive(FromRow)]
struct OrderRow {
    task: Uuid,
    actor: String,
    reason: String,
}

#[async_trait]
impl TaskCancellations for SqliteQueue {
    async fn cancel(&self, order: &CancelOrder, unseen: Unseen) -> Result<Cancelled, StoreError> {
        let mut transaction = self.database.begin().await?;
        let cancelled = self.carry_out(&mut transaction, order, unseen).await?;
        if matches!(cancelled, Cancelled::Requested | Cancelled::Ended) {
            sqlx::query(
                "INSERT INTO aftercommit_cancel_orders (task, actor, reason, ordered_at) \
                 VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            )
            .bind(order.task.uuid())
            .bind(&order.actor)
            .bind(order.reason.as_str())
            .bind(micros(self.database.services.clock.now()))
            .execute(&mut *transaction)
            .await
            .map_err(|error| store_error("keep an order", &error))?;
        }
        transaction.commit().await?;
        Ok(cancelled)
    }

    async fn outstanding(&self, limit: u32) -> Result<Vec<CancelOrder>, StoreError> {
        let ripe = self.ripe().await?;
        if !ripe.is_empty() {
            let mut transaction = self.database.begin().await?;
            for order in &ripe {
                self.carry_out(&mut transaction, order, Unseen::IsUnknown).await?;
            }
            transaction.commit().await?;
        }
        let query = sqlx::query_as(
            "SELECT task, actor, reason FROM aftercommit_cancel_orders ORDER BY ordered_at DESC, task LIMIT ?1",
        )
        .bind(i64::from(limit));
        self.orders(query).await
    }

    async fn find(&self, task: MessageId) -> Result<Option<CancelOrder>, StoreError> {
        let query = sqlx::query_as("SELECT task, actor, reason FROM aftercommit_cancel_orders WHERE task = ?1")
            .bind(task.uuid());
        let found: Option<OrderRow> = self
            .database
            .bounded(query.fetch_optional(&self.database.readers))
            .await
            .map_err(|error| store_error("find an order", &error))?;
        Ok(found.map(OrderRow::into_order))
    }

    async fn prune_orders(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let before = micros(before);
        self.database
            .writer
            .call(
                move |connection| {
                    Box::pin(async move {
                        let done = sqlx::query(
                            "DELETE FROM aftercommit_cancel_orders WHERE task IN (\
                               SELECT o.task FROM aftercommit_cancel_orders o WHERE o.ordered_at < ?1 \
                                 AND NOT EXISTS (SELECT 1 FROM aftercommit_tasks t WHERE t.id = o.task) LIMIT ?2)",
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
            .map_err(|error| error.into_store_error("forget old orders"))
    }
}

/// A query of orders.
type Orders<'q> = sqlx::query::QueryAs<'q, sqlx::Sqlite, OrderRow, sqlx::sqlite::SqliteArguments>;

impl SqliteQueue {
    /// Orders whose task waits by now.
    async fn ripe(&self) -> Result<Vec<CancelOrder>, StoreError> {
        let query = sqlx::query_as(
            "SELECT o.task, o.actor, o.reason FROM aftercommit_cancel_orders o \
             CROSS JOIN aftercommit_tasks t ON t.id = o.task \
             WHERE t.seq NOT IN (SELECT value FROM json_each(?1)) ORDER BY o.ordered_at LIMIT ?2",
        )
        .bind(self.running())
        .bind(i64::from(MOST_AT_ONCE));
        self.orders(query).await
    }

    async fn orders(&self, query: Orders<'_>) -> Result<Vec<CancelOrder>, StoreError> {
        let rows: Vec<OrderRow> = self
            .database
            .bounded(query.fetch_all(&self.database.readers))
            .await
            .map_err(|error| store_error("list orders", &error))?;
        Ok(rows.into_iter().map(OrderRow::into_order).collect())
    }

    /// Ends the task if it waits. `Requested`: the order is to be kept.
    async fn carry_out(
        &self,
        transaction: &mut SqliteTransaction,
        order: &CancelOrder,
        unseen: Unseen,
    ) -> Result<Cancelled, StoreError> {
        let wrong = |error: sqlx::Error| store_error("cancel a task", &error);
        let id = order.task.uuid();
        let row: Option<UnfinishedRow> =
            sqlx::query_as("SELECT seq, id, topic, order_scope, due_at, attempts FROM aftercommit_tasks WHERE id = ?1")
                .bind(id)
                .fetch_optional(&mut **transaction)
                .await
                .map_err(wrong)?;
        if let Some(row) = row {
            let topic = TopicName::new(row.topic.clone()).map_err(|error| StoreError::Corrupt {
                what: "a task",
                reason: error.to_string(),
            })?;
            if !transaction.withhold(&topic, row.seq) {
                return Ok(Cancelled::Requested);
            }
            let now = micros(self.database.services.clock.now());
            cancel(transaction, &[row], &order.outcome(), now)
                .await
                .map_err(wrong)?;
            return Ok(Cancelled::Ended);
        }
        let found: Option<String> = sqlx::query_scalar(
            "SELECT 'outbox' FROM aftercommit_outbox WHERE id = ?1 \
             UNION ALL SELECT 'dead' FROM aftercommit_dead_letters WHERE id = ?1 \
             UNION ALL SELECT * FROM (\
               SELECT outcome FROM aftercommit_task_outcomes WHERE id = ?1 ORDER BY entry DESC LIMIT 1) LIMIT 1",
        )
        .bind(id)
        .fetch_optional(&mut **transaction)
        .await
        .map_err(wrong)?;
        Ok(match (found.as_deref(), unseen) {
            (Some("outbox"), _) | (None, Unseen::MayBeElsewhere) => Cancelled::Requested,
            (Some(state), _) => Cancelled::Over(state_named(state).unwrap_or(TaskState::Completed)),
            (None, Unseen::IsUnknown) => Cancelled::Unknown,
        })
    }
}

impl OrderRow {
    fn into_order(self) -> CancelOrder {
        CancelOrder {
            task: self.task.into(),
            actor: self.actor,
            reason: Reason::new(self.reason),
        }
    }
}
