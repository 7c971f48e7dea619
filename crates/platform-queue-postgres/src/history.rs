//! How tasks of a broker's queue ended: rows beside those of this queue's own.

use aftercommit_domain::contract::{CorrelationId, OrganizationId, ProjectId};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{EndedTask, HistoryError, Outcome, TaskHistory};
use aftercommit_domain::time::{Timestamp, to_micros};
use async_trait::async_trait;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::columns::{small, text};
use crate::queue::PostgresQueue;
use crate::queue::settlement::records_success;

const RECORD: &str = "INSERT INTO aftercommit.task_outcomes (\
      id, topic, task, organization_id, project_id, attempts, outcome, reason, enqueued_at, finished_at, correlation_id, \
      causation_id) \
    SELECT line.id, line.topic, line.task, line.organization_id, line.project_id, line.attempts, line.outcome, line.reason, \
      line.enqueued_at, aftercommit.clock(), line.correlation_id, line.causation_id \
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::integer[], $7::text[], $8::text[], \
      $9::timestamptz[], $10::text[], $11::uuid[]) WITH ORDINALITY AS line (\
      id, topic, task, organization_id, project_id, attempts, outcome, reason, enqueued_at, correlation_id, causation_id, \
      place) \
    ORDER BY line.place";

#[async_trait]
impl TaskHistory for PostgresQueue {
    fn keeps(&self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Completed => {
                let database = &self.inner.database;
                records_success(database.options().record_successes, &*database.services().randomness)
            }
            Outcome::Skipped(_) | Outcome::Cancelled(_) => true,
            Outcome::Snoozed(_) => false,
        }
    }

    async fn record(&self, ended: Vec<EndedTask>) -> Result<(), HistoryError> {
        let endings = Endings::of(ended);
        if endings.ids.is_empty() {
            return Ok(());
        }
        self.inner
            .engine
            .run(move |connection| Box::pin(endings.insert(connection)))
            .await
            .map_err(|trouble| HistoryError::Unavailable {
                operation: "record",
                reason: trouble.reason,
            })
    }
}

/// Endings, column by column.
#[derive(Default)]
struct Endings {
    ids: Vec<Uuid>,
    topics: Vec<String>,
    names: Vec<String>,
    organizations: Vec<Option<String>>,
    projects: Vec<Option<String>>,
    attempts: Vec<i32>,
    outcomes: Vec<&'static str>,
    reasons: Vec<Option<String>>,
    enqueued: Vec<Timestamp>,
    correlations: Vec<Option<String>>,
    causations: Vec<Option<Uuid>>,
}

impl Endings {
    fn of(ended: Vec<EndedTask>) -> Self {
        let mut endings = Self::default();
        for task in ended {
            let (outcome, reason) = match task.outcome {
                Outcome::Completed => ("completed", None),
                Outcome::Skipped(reason) => ("skipped", Some(reason)),
                Outcome::Cancelled(reason) => ("cancelled", Some(reason)),
                // It ends nothing.
                Outcome::Snoozed(_) => continue,
            };
            endings.ids.push(task.id.uuid());
            endings.topics.push(task.topic.to_string());
            endings.names.push(task.task.to_string());
            endings
                .organizations
                .push(task.tenant.organization_id().map(OrganizationId::to_string));
            endings
                .projects
                .push(task.tenant.project_id().map(ProjectId::to_string));
            endings.attempts.push(small(task.attempts));
            endings.outcomes.push(outcome);
            endings
                .reasons
                .push(reason.map(|reason| text(reason.as_str()).into_owned()));
            endings.enqueued.push(to_micros(task.enqueued_at));
            endings
                .correlations
                .push(task.cause.correlation.as_ref().map(CorrelationId::to_string));
            endings.causations.push(task.cause.causation.map(MessageId::uuid));
        }
        endings
    }

    async fn insert(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::query(RECORD)
            .bind(self.ids)
            .bind(self.topics)
            .bind(self.names)
            .bind(self.organizations)
            .bind(self.projects)
            .bind(self.attempts)
            .bind(self.outcomes)
            .bind(self.reasons)
            .bind(self.enqueued)
            .bind(self.correlations)
            .bind(self.causations)
            .execute(connection)
            .await?;
        Ok(())
    }
}
