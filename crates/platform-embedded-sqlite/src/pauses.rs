//! Pauses, and what was set aside because of them.

use std::collections::HashSet;

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::tasks::{MOST_PAUSES, NewPause, Pause, PauseTarget, Reason, TaskPauses};
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;
use sqlx::FromRow;

use crate::columns::{json_list, micros, store_error, timestamp};
use crate::queue::SqliteQueue;

/// Tasks that are set aside and that no pause in force at `?1` holds.
const FREE: &str = "SELECT t.seq FROM aftercommit_tasks t INDEXED BY aftercommit_tasks_aside \
     WHERE t.state = 3 AND NOT EXISTS (\
       SELECT 1 FROM aftercommit_pauses p \
       WHERE (p.until IS NULL OR p.until > ?1) AND (p.task IS NOT NULL OR p.organization_id IS NOT NULL) \
         AND (p.topic IS NULL OR p.topic = t.topic) AND (p.task IS NULL OR p.task = t.task) \
         AND (p.organization_id IS NULL OR p.organization_id = t.organization_id) \
         AND (p.project_id IS NULL OR p.project_id = t.project_id)) \
     ORDER BY t.seq LIMIT ?2";

#[derive(FromRow)]
struct PauseRow {
    target: String,
    reason: String,
    actor: String,
    since: i64,
    until: Option<i64>,
}

#[async_trait]
impl TaskPauses for SqliteQueue {
    async fn pause(&self, new: &NewPause) -> Result<Pause, StoreError> {
        let mut transaction = self.database.begin().await?;
        let wrong = |error: sqlx::Error| store_error("pause", &error);
        let now = self.database.services.clock.now();
        sqlx::query("DELETE FROM aftercommit_pauses WHERE target = ?1 OR until <= ?2")
            .bind(new.target.to_string())
            .bind(micros(now))
            .execute(&mut *transaction)
            .await
            .map_err(wrong)?;
        let number: i64 = sqlx::query_scalar("SELECT count(*) FROM aftercommit_pauses")
            .fetch_one(&mut *transaction)
            .await
            .map_err(wrong)?;
        if usize::try_from(number).is_ok_and(|number| number >= MOST_PAUSES) {
            return Err(StoreError::Refused {
                operation: "pause",
                reason: format!("there are {MOST_PAUSES} pauses already"),
            });
        }
        let (topic, task) = match &new.target {
            PauseTarget::Topic(topic) => (Some(topic.as_str()), None),
            PauseTarget::Task { topic, task } => (Some(topic.as_str()), Some(task.as_str())),
            PauseTarget::Organization(_) | PauseTarget::Project { .. } => (None, None),
        };
        let (organization, project) = match &new.target {
            PauseTarget::Organization(organization) => (Some(organization.as_str()), None),
            PauseTarget::Project { organization, project } => (Some(organization.as_str()), Some(project.as_str())),
            PauseTarget::Topic(_) | PauseTarget::Task { .. } => (None, None),
        };
        sqlx::query(
            "INSERT INTO aftercommit_pauses (target, topic, task, organization_id, project_id, reason, actor, since, until) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )
        .bind(new.target.to_string())
        .bind(topic)
        .bind(task)
        .bind(organization)
        .bind(project)
        .bind(new.reason.as_str())
        .bind(&new.actor)
        .bind(micros(now))
        .bind(new.until.map(micros))
        .execute(&mut *transaction)
        .await
        .map_err(wrong)?;
        transaction.commit().await?;
        Ok(new.begun(now))
    }

    async fn resume(&self, target: &PauseTarget) -> Result<Option<Pause>, StoreError> {
        let (target, now) = (target.to_string(), self.database.services.clock.now());
        let ended: Option<PauseRow> = self
            .database
            .writer
            .call(
                move |connection| {
                    let target = target.clone();
                    Box::pin(async move {
                        sqlx::query_as(
                            "DELETE FROM aftercommit_pauses WHERE target = ?1 \
                             RETURNING target, reason, actor, since, until",
                        )
                        .bind(target)
                        .fetch_optional(connection)
                        .await
                    })
                },
                |_| {},
            )
            .await
            .map_err(|error| error.into_store_error("resume"))?;
        let ended = ended.map(PauseRow::into_pause).transpose()?;
        Ok(ended.filter(|pause| !pause.is_over(now)))
    }

    async fn list(&self) -> Result<Vec<Pause>, StoreError> {
        let query = sqlx::query_as(
            "SELECT target, reason, actor, since, until FROM aftercommit_pauses \
             WHERE until IS NULL OR until > ?1 ORDER BY since, rowid",
        )
        .bind(micros(self.database.services.clock.now()));
        let rows: Vec<PauseRow> = self
            .database
            .bounded(query.fetch_all(&self.database.readers))
            .await
            .map_err(|error| store_error("list pauses", &error))?;
        // One that a newer build wrote holds nothing here, and keeps no other from being kept to.
        let pauses = rows.into_iter().map(PauseRow::into_pause);
        let known = pauses.filter_map(|pause| {
            pause
                .inspect_err(|error| tracing::warn!(%error, "a pause cannot be read"))
                .ok()
        });
        Ok(known.collect())
    }

    async fn release(&self, limit: u32) -> Result<u64, StoreError> {
        let now = micros(self.database.services.clock.now());
        let query = sqlx::query_scalar(FREE).bind(now).bind(i64::from(limit));
        // Asked again and again, and nearly always in vain: reading disturbs nobody who writes.
        let free: Vec<i64> = self
            .database
            .bounded(query.fetch_all(&self.database.readers))
            .await
            .map_err(|error| store_error("let paused tasks go on", &error))?;
        if free.is_empty() {
            return Ok(0);
        }
        let free = json_list(free);
        let topics: Vec<String> = self
            .database
            .writer
            .call(
                move |connection| {
                    let free = free.clone();
                    Box::pin(async move {
                        sqlx::query_scalar(
                            "UPDATE aftercommit_tasks SET state = 0 \
                             WHERE state = 3 AND seq IN (SELECT value FROM json_each(?1)) RETURNING topic",
                        )
                        .bind(free)
                        .fetch_all(connection)
                        .await
                    })
                },
                |_| {},
            )
            .await
            .map_err(|error| error.into_store_error("let paused tasks go on"))?;
        for topic in topics.iter().collect::<HashSet<_>>() {
            if let Ok(topic) = TopicName::new(topic.as_str()) {
                self.database.topics.wake(&topic);
            }
        }
        Ok(topics.len() as u64)
    }
}

impl PauseRow {
    fn into_pause(self) -> Result<Pause, StoreError> {
        let target = self.target.parse().map_err(|error| StoreError::Corrupt {
            what: "a pause",
            reason: format!("{error}"),
        })?;
        Ok(Pause {
            target,
            reason: Reason::new(self.reason),
            actor: self.actor,
            since: timestamp(self.since),
            until: self.until.map(timestamp),
        })
    }
}
