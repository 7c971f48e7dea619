//! Pauses, and what was set aside because of them.

use std::collections::HashMap;
use std::time::Duration;

use aftercommit_domain::tasks::{MOST_PAUSES, NewPause, Pause, PauseTarget, Reason, TaskPauses};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;
use sqlx::FromRow;

use crate::columns::text;
use crate::queue::PostgresQueue;

#[derive(FromRow)]
struct PauseRow {
    target: String,
    reason: String,
    actor: String,
    since: Timestamp,
    until: Option<Timestamp>,
}

#[async_trait]
impl TaskPauses for PostgresQueue {
    async fn pause(&self, new: &NewPause) -> Result<Pause, StoreError> {
        let asked = new.clone();
        let since: Option<Timestamp> = self
            .inner
            .console
            .run(move |connection| {
                Box::pin(async move {
                    let (topic, task) = match &asked.target {
                        PauseTarget::Topic(topic) => (Some(topic.as_str()), None),
                        PauseTarget::Task { topic, task } => (Some(topic.as_str()), Some(task.as_str())),
                        PauseTarget::Organization(_) | PauseTarget::Project { .. } => (None, None),
                    };
                    let (organization, project) = match &asked.target {
                        PauseTarget::Organization(organization) => (Some(organization.as_str()), None),
                        PauseTarget::Project { organization, project } => {
                            (Some(organization.as_str()), Some(project.as_str()))
                        }
                        PauseTarget::Topic(_) | PauseTarget::Task { .. } => (None, None),
                    };
                    sqlx::query_scalar("SELECT aftercommit.pause_begin($1, $2, $3, $4, $5, $6, $7, $8, $9)")
                        .bind(asked.target.to_string())
                        .bind(topic)
                        .bind(task)
                        .bind(organization)
                        .bind(project)
                        .bind(text(asked.reason.as_str()))
                        .bind(text(&asked.actor))
                        .bind(asked.until)
                        .bind(i32::try_from(MOST_PAUSES).unwrap_or(i32::MAX))
                        .fetch_one(connection)
                        .await
                })
            })
            .await
            .map_err(|trouble| trouble.into_store_error("pause"))?;
        since.map(|since| new.begun(since)).ok_or_else(|| StoreError::Refused {
            operation: "pause",
            reason: format!("there are {MOST_PAUSES} pauses already"),
        })
    }

    async fn resume(&self, target: &PauseTarget) -> Result<Option<Pause>, StoreError> {
        let target = target.to_string();
        let ended: Option<PauseRow> = self
            .inner
            .console
            .run(move |connection| {
                Box::pin(async move {
                    // To the end of the answer: its transaction is committed by then.
                    let rows: Vec<PauseRow> = sqlx::query_as(
                        "WITH ended AS (DELETE FROM aftercommit.pauses WHERE target = $1 RETURNING *) \
                         SELECT target, reason, actor, since, until FROM ended \
                         WHERE until IS NULL OR until > aftercommit.clock()",
                    )
                    .bind(target)
                    .fetch_all(connection)
                    .await?;
                    Ok(rows.into_iter().next())
                })
            })
            .await
            .map_err(|trouble| trouble.into_store_error("resume"))?;
        ended.map(PauseRow::into_pause).transpose()
    }

    async fn list(&self) -> Result<Vec<Pause>, StoreError> {
        let rows: Vec<PauseRow> = self
            .inner
            .maintenance
            .run(|connection| {
                Box::pin(async move {
                    sqlx::query_as(
                        "SELECT target, reason, actor, since, until FROM aftercommit.pauses \
                         WHERE until IS NULL OR until > aftercommit.clock() ORDER BY place",
                    )
                    .fetch_all(connection)
                    .await
                })
            })
            .await
            .map_err(|trouble| trouble.into_store_error("list pauses"))?;
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
        let topics: Vec<String> = self
            .inner
            .maintenance
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query_scalar("SELECT aftercommit.pauses_release($1)")
                        .bind(i32::try_from(limit).unwrap_or(i32::MAX))
                        .fetch_all(connection)
                        .await
                })
            })
            .await
            .map_err(|trouble| trouble.into_store_error("let paused tasks go on"))?;
        let mut released: HashMap<&str, usize> = HashMap::new();
        for topic in &topics {
            *released.entry(topic).or_default() += 1;
        }
        for (topic, tasks) in released {
            self.inner.topics.tell(topic, tasks, Duration::ZERO);
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
            since: self.since,
            until: self.until,
        })
    }
}
