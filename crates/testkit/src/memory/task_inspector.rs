//! What a person asks about tasks.

use std::collections::BTreeMap;

use aftercommit_domain::contract::{Cause, TopicName};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    DeadLetter, InspectionError, TaskDetails, TaskFilter, TaskInspector, TaskPlace, TaskState, TaskSummary, TopicDepth,
};
use aftercommit_domain::time::Timestamp;
use async_trait::async_trait;

use super::tasks::{Row, RowState};
use super::{InMemory, list_limit};

#[async_trait]
impl TaskInspector for InMemory {
    async fn list(&self, filter: &TaskFilter) -> Result<Vec<TaskSummary>, InspectionError> {
        let now = self.now();
        let state = self.lock();
        let mut summaries: Vec<TaskSummary> = Vec::new();
        summaries.extend(state.tasks.rows.values().map(|row| row.summary(now)));
        summaries.extend(state.tasks.ended.values().map(|ended| ended.summary.clone()));
        summaries.extend(state.dead.letters.iter().map(summary_of_letter));
        summaries.retain(|summary| {
            filter.topic.as_ref().is_none_or(|topic| *topic == summary.topic)
                && filter.state.is_none_or(|state| state == summary.state)
                && (filter.organization_id.is_none() || filter.organization_id == summary.organization_id)
        });
        // Stable and turned around first, so that of those enqueued at one time the later one is in front.
        summaries.reverse();
        summaries.sort_by_key(|summary| std::cmp::Reverse(summary.enqueued_at));
        summaries.truncate(list_limit(filter.limit));
        Ok(summaries)
    }

    async fn find(&self, id: MessageId) -> Result<Option<TaskDetails>, InspectionError> {
        let now = self.now();
        let state = self.lock();
        if let Some(row) = state.tasks.find(id) {
            let code = row.failure.as_ref().map(|failure| failure.code.to_string());
            let cause = row.envelope.as_ref().map(|task| &task.cause);
            let mut details = details(row.summary(now), code, cause);
            details.payload = row.envelope.as_ref().map(|task| task.payload.clone());
            details.place = state.tasks.place_of(row);
            return Ok(Some(details));
        }
        if let Some(letter) = state.dead.find(id) {
            let code = Some(letter.failure.code.to_string());
            let cause = letter.task.as_ref().map(|task| &task.cause);
            return Ok(Some(details(summary_of_letter(letter), code, cause)));
        }
        Ok(state
            .tasks
            .ended(id)
            .map(|ended| details(ended.summary.clone(), ended.code.clone(), ended.cause.as_ref())))
    }

    async fn depths(&self) -> Result<Vec<TopicDepth>, InspectionError> {
        let now = self.now();
        let state = self.lock();
        let mut depths: BTreeMap<&TopicName, TopicDepth> = BTreeMap::new();
        for row in state.tasks.rows.values() {
            let depth = depths.entry(&row.topic).or_insert_with(|| TopicDepth {
                topic: row.topic.clone(),
                available: 0,
                scheduled: 0,
                running: 0,
                paused: 0,
                consumers: None,
            });
            match row.task_state(now) {
                TaskState::Available => depth.available += 1,
                TaskState::Scheduled | TaskState::Retryable => depth.scheduled += 1,
                TaskState::Running => depth.running += 1,
                TaskState::Paused => depth.paused += 1,
                TaskState::Completed | TaskState::Skipped | TaskState::Cancelled | TaskState::Dead => {}
            }
        }
        Ok(depths.into_values().collect())
    }
}

impl Row {
    pub(super) fn summary(&self, now: Timestamp) -> TaskSummary {
        let tenant = self.envelope.as_ref().map(|task| &task.tenant);
        let (running, due_at) = match &self.state {
            RowState::Running(_) => (1, None),
            RowState::Waiting { due } => (0, Some(due.unwrap_or(self.added_at))),
        };
        TaskSummary {
            id: self.id,
            topic: self.topic.clone(),
            task: self
                .envelope
                .as_ref()
                .map_or_else(String::new, |task| task.task.to_string()),
            organization_id: tenant.and_then(|tenant| tenant.organization_id()).cloned(),
            project_id: tenant.and_then(|tenant| tenant.project_id()).cloned(),
            state: self.task_state(now),
            attempts: self.attempts.saturating_add(running),
            enqueued_at: self
                .envelope
                .as_ref()
                .map_or(self.added_at, |task| task.first_enqueued_at),
            due_at,
            finished_at: None,
            reason: self.failure.as_ref().map(|failure| failure.message.clone()),
        }
    }
}

fn summary_of_letter(letter: &DeadLetter) -> TaskSummary {
    let tenant = letter.task.as_ref().map(|task| &task.tenant);
    TaskSummary {
        id: letter.id,
        topic: letter.topic.clone(),
        task: letter
            .task
            .as_ref()
            .map_or_else(String::new, |task| task.task.to_string()),
        organization_id: tenant.and_then(|tenant| tenant.organization_id()).cloned(),
        project_id: tenant.and_then(|tenant| tenant.project_id()).cloned(),
        state: TaskState::Dead,
        attempts: letter.attempts,
        enqueued_at: letter
            .task
            .as_ref()
            .map_or(letter.died_at, |task| task.first_enqueued_at),
        due_at: None,
        finished_at: Some(letter.died_at),
        reason: Some(letter.failure.message.clone()),
    }
}

fn details(summary: TaskSummary, code: Option<String>, cause: Option<&Cause>) -> TaskDetails {
    TaskDetails {
        summary,
        code,
        correlation_id: cause
            .and_then(|cause| cause.correlation.as_ref())
            .map(ToString::to_string),
        causation_id: cause.and_then(|cause| cause.causation),
        payload: None,
        place: TaskPlace::default(),
    }
}
