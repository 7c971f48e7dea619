//! Writing coalesced tasks: many rows with one statement.

use aftercommit_domain::contract::{CorrelationId, OrganizationId, ProjectId};
use aftercommit_domain::ids::MessageId;
use sqlx::{QueryBuilder, SqliteConnection};

use crate::queue::insertion::NewTask;

/// How many rows one statement writes.
const ROWS: usize = 64;

/// A coalesced task to add.
pub(crate) struct WindowedTask<'t> {
    pub(crate) seq: i64,
    pub(crate) task: &'t NewTask,
    pub(crate) due_at: i64,
    pub(crate) scope: &'t str,
    pub(crate) opened_at: Option<i64>,
}

/// A task that takes the place of one that is stored.
pub(crate) struct Replacement<'t> {
    pub(crate) seq: i64,
    pub(crate) task: &'t NewTask,
    pub(crate) due_at: i64,
}

/// Adds coalesced tasks, in this order.
pub(crate) async fn insert(connection: &mut SqliteConnection, tasks: &[WindowedTask<'_>]) -> Result<(), sqlx::Error> {
    // Whether an ordered one is behind another depends on those before it, so each of them has a statement of its own.
    for part in tasks.chunk_by(|a, b| !a.task.is_ordered() && !b.task.is_ordered()) {
        for rows in part.chunks(ROWS) {
            insert_rows(connection, rows).await?;
        }
    }
    Ok(())
}

async fn insert_rows(connection: &mut SqliteConnection, tasks: &[WindowedTask<'_>]) -> Result<(), sqlx::Error> {
    let mut query = QueryBuilder::new(
        "INSERT INTO aftercommit_tasks (seq, id, topic, task, organization_id, project_id, due_at, order_scope, \
           enqueued_at, correlation_id, causation_id, body, window_scope, window_opened_at, state) ",
    );
    query.push_values(tasks, |mut row, one| {
        let task = one.task;
        row.push_bind(one.seq)
            .push_bind(task.id)
            .push_bind(task.topic.as_str())
            .push_bind(task.task.as_str())
            .push_bind(task.organization.as_ref().map(OrganizationId::as_str))
            .push_bind(task.project.as_ref().map(ProjectId::as_str))
            .push_bind(one.due_at)
            .push_bind(task.ordering.as_deref())
            .push_bind(task.enqueued_at)
            .push_bind(task.correlation.as_ref().map(CorrelationId::as_str))
            .push_bind(task.causation)
            .push_bind(task.body.as_slice())
            .push_bind(one.scope)
            .push_bind(one.opened_at);
        match &task.ordering {
            None => row.push("0"),
            Some(ordering) => row
                .push("CASE WHEN EXISTS (SELECT 1 FROM aftercommit_tasks WHERE topic = ")
                .push_bind_unseparated(task.topic.as_str())
                .push_unseparated(" AND order_scope = ")
                .push_bind_unseparated(ordering.as_str())
                .push_unseparated(") THEN 2 ELSE 0 END"),
        };
    });
    query.push(" ON CONFLICT (id) DO NOTHING");
    query.build().execute(connection).await?;
    Ok(())
}

/// Puts tasks in the places of stored ones.
pub(crate) async fn replace(connection: &mut SqliteConnection, tasks: &[Replacement<'_>]) -> Result<(), sqlx::Error> {
    for rows in tasks.chunks(ROWS) {
        let mut query =
            QueryBuilder::new("WITH line (seq, id, due_at, enqueued_at, correlation_id, causation_id, body) AS (");
        query.push_values(rows, |mut row, one| {
            let task = one.task;
            row.push_bind(one.seq)
                .push_bind(task.id)
                .push_bind(one.due_at)
                .push_bind(task.enqueued_at)
                .push_bind(task.correlation.as_ref().map(CorrelationId::as_str))
                .push_bind(task.causation)
                .push_bind(task.body.as_slice());
        });
        query.push(
            ") UPDATE aftercommit_tasks SET id = line.id, due_at = line.due_at, enqueued_at = line.enqueued_at, \
               correlation_id = line.correlation_id, causation_id = line.causation_id, body = line.body \
             FROM line WHERE aftercommit_tasks.seq = line.seq",
        );
        query.build().execute(&mut *connection).await?;
    }
    Ok(())
}

/// Notes that publishes of before have another task now.
pub(crate) async fn supersede(
    connection: &mut SqliteConnection,
    superseded: &[(MessageId, MessageId)],
) -> Result<(), sqlx::Error> {
    for rows in superseded.chunks(ROWS) {
        let mut query = QueryBuilder::new("WITH line (id, task) AS (");
        query.push_values(rows, |mut row, (gone, by)| {
            row.push_bind(gone.uuid()).push_bind(by.uuid());
        });
        query.push(
            ") UPDATE aftercommit_coalesced SET task = line.task FROM line WHERE aftercommit_coalesced.id = line.id",
        );
        query.build().execute(&mut *connection).await?;
    }
    Ok(())
}
