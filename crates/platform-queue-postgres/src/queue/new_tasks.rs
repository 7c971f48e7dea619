//! Tasks as rows to add, column by column, as one statement takes them.

use std::sync::Arc;

use aftercommit_domain::contract::{CorrelationId, OrganizationId, ProjectId, TaskEnvelope, TaskName, TopicName};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::time::{Timestamp, to_micros};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::QueryScalar;
use sqlx::{FromRow, PgConnection, Postgres};
use uuid::Uuid;

/// A row to add.
#[derive(Debug, Clone)]
pub(crate) struct NewTask {
    id: Uuid,
    topic: TopicName,
    task: TaskName,
    organization: Option<OrganizationId>,
    project: Option<ProjectId>,
    not_before: Option<Timestamp>,
    ordering: Option<String>,
    enqueued_at: Timestamp,
    correlation: Option<CorrelationId>,
    causation: Option<Uuid>,
    body: Arc<[u8]>,
}

impl NewTask {
    pub(crate) fn new(message: TaskEnvelope, ordering: Option<String>, body: impl Into<Arc<[u8]>>) -> Self {
        Self {
            id: message.id.uuid(),
            organization: message.tenant.organization_id().cloned(),
            project: message.tenant.project_id().cloned(),
            topic: message.topic,
            task: message.task,
            not_before: message.not_before.map(to_micros),
            ordering,
            enqueued_at: to_micros(message.first_enqueued_at),
            correlation: message.cause.correlation,
            causation: message.cause.causation.map(MessageId::uuid),
            body: body.into(),
        }
    }

    pub(crate) fn id(&self) -> Uuid {
        self.id
    }

    pub(crate) fn topic(&self) -> &TopicName {
        &self.topic
    }

    /// When it may run at the earliest; `None`: at once.
    pub(crate) fn not_before(&self) -> Option<Timestamp> {
        self.not_before
    }

    /// The same, due at this time.
    pub(crate) fn due(&self, at: Timestamp) -> Self {
        Self {
            not_before: Some(at),
            ..self.clone()
        }
    }

    /// The bytes of its body.
    pub(crate) fn bytes(&self) -> usize {
        self.body.len()
    }

    /// The scope it is ordered by, within its topic.
    pub(crate) fn ordering(&self) -> Option<&str> {
        self.ordering.as_deref()
    }

    /// What it is ordered by.
    pub(crate) fn order_key(&self) -> Option<(TopicName, String)> {
        Some((self.topic.clone(), self.ordering.clone()?))
    }
}

/// The columns of a batch.
#[derive(Default)]
pub(crate) struct Rows {
    ids: Vec<Uuid>,
    topics: Vec<TopicName>,
    names: Vec<TaskName>,
    organizations: Vec<Option<OrganizationId>>,
    projects: Vec<Option<ProjectId>>,
    not_before: Vec<Option<Timestamp>>,
    scopes: Vec<Option<String>>,
    enqueued: Vec<Timestamp>,
    correlations: Vec<Option<CorrelationId>>,
    causations: Vec<Option<Uuid>>,
    bodies: Vec<Arc<[u8]>>,
}

impl Rows {
    pub(crate) fn of<'t>(tasks: impl Iterator<Item = &'t NewTask> + Clone) -> Self {
        let mut rows = Self::default();
        let has_ordered = tasks.clone().any(|task| task.ordering.is_some());
        for task in tasks {
            rows.ids.push(task.id);
            rows.topics.push(task.topic.clone());
            rows.names.push(task.task.clone());
            rows.organizations.push(task.organization.clone());
            rows.projects.push(task.project.clone());
            rows.not_before.push(task.not_before);
            if has_ordered {
                rows.scopes.push(task.ordering.clone());
            }
            rows.enqueued.push(task.enqueued_at);
            rows.correlations.push(task.correlation.clone());
            rows.causations.push(task.causation);
            rows.bodies.push(Arc::clone(&task.body));
        }
        rows
    }

    /// Adds them. Answers the ids that are new.
    pub(crate) async fn insert(self, connection: &mut PgConnection) -> Result<Vec<Uuid>, sqlx::Error> {
        let call = "SELECT aftercommit.tasks_insert($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        let added: Vec<Vec<Uuid>> = self.bound(sqlx::query_scalar(call)).fetch_all(connection).await?;
        Ok(added.into_iter().flatten().collect())
    }

    /// Adds them and takes these rows out of the outbox, all or nothing. Answers how many rows there were.
    pub(crate) async fn transfer(
        self,
        positions: Vec<i64>,
        tokens: Vec<i64>,
        connection: &mut PgConnection,
    ) -> Result<i64, sqlx::Error> {
        let call = "SELECT aftercommit.outbox_transfer($12, $13, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        self.bound(sqlx::query_scalar(call))
            .bind(positions)
            .bind(tokens)
            .fetch_one(connection)
            .await
    }

    /// The first eleven arguments.
    pub(crate) fn bound<'q, O>(
        &'q self,
        query: QueryScalar<'q, Postgres, O, PgArguments>,
    ) -> QueryScalar<'q, Postgres, O, PgArguments>
    where
        (O,): for<'r> FromRow<'r, PgRow>,
    {
        query
            .bind(&self.ids)
            .bind(self.topics.iter().map(TopicName::as_str).collect::<Vec<_>>())
            .bind(self.names.iter().map(TaskName::as_str).collect::<Vec<_>>())
            .bind(options(&self.organizations, OrganizationId::as_str))
            .bind(options(&self.projects, ProjectId::as_str))
            .bind(&self.not_before)
            .bind(&self.scopes)
            .bind(&self.enqueued)
            .bind(options(&self.correlations, CorrelationId::as_str))
            .bind(&self.causations)
            .bind(self.bodies.iter().map(|body| &**body).collect::<Vec<&[u8]>>())
    }
}

/// Tasks that take the place of stored ones, column by column.
#[derive(Default)]
pub(crate) struct Replacements {
    seqs: Vec<i64>,
    ids: Vec<Uuid>,
    due: Vec<Timestamp>,
    enqueued: Vec<Timestamp>,
    correlations: Vec<Option<CorrelationId>>,
    causations: Vec<Option<Uuid>>,
    bodies: Vec<Arc<[u8]>>,
}

impl Replacements {
    pub(crate) fn add(&mut self, seq: i64, task: &NewTask, due_at: Timestamp) {
        self.seqs.push(seq);
        self.ids.push(task.id);
        self.due.push(due_at);
        self.enqueued.push(task.enqueued_at);
        self.correlations.push(task.correlation.clone());
        self.causations.push(task.causation);
        self.bodies.push(Arc::clone(&task.body));
    }

    /// Seven arguments.
    pub(crate) fn bound<'q, O>(
        &'q self,
        query: QueryScalar<'q, Postgres, O, PgArguments>,
    ) -> QueryScalar<'q, Postgres, O, PgArguments>
    where
        (O,): for<'r> FromRow<'r, PgRow>,
    {
        query
            .bind(&self.seqs)
            .bind(&self.ids)
            .bind(&self.due)
            .bind(&self.enqueued)
            .bind(options(&self.correlations, CorrelationId::as_str))
            .bind(&self.causations)
            .bind(self.bodies.iter().map(|body| &**body).collect::<Vec<&[u8]>>())
    }
}

fn options<'v, T>(values: &'v [Option<T>], text: impl Fn(&'v T) -> &'v str) -> Vec<Option<&'v str>> {
    values.iter().map(|value| value.as_ref().map(&text)).collect()
}
