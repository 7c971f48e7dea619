//! Looking at workflows.

use aftercommit_domain::workflows::{
    WorkflowDescription, WorkflowFilter, WorkflowId, WorkflowPage, WorkflowQuerier, WorkflowQueryError, WorkflowStatus,
    WorkflowSummary,
};
use async_trait::async_trait;
use serde_json::Value;

use super::InMemoryWorkflows;
use super::requests::AWAY;
use super::state::{Run, RunEnd, State};

impl State {
    pub(super) fn description(&self, id: &WorkflowId) -> Option<WorkflowDescription> {
        let run = self.newest(id)?;
        Some(WorkflowDescription {
            summary: run.summary(),
            attempt: Some(run.number),
            waiting: run.waiting.clone(),
            problem: run.problem.clone(),
            end: match &run.end {
                Some(RunEnd::As(end)) => Some(end.clone()),
                Some(RunEnd::ContinuedAsNew) | None => None,
            },
        })
    }

    fn page(&self, filter: &WorkflowFilter) -> Result<WorkflowPage, WorkflowQueryError> {
        let before: usize = match &filter.after {
            None => self.runs.len(),
            Some(token) => token.parse().map_err(|_| WorkflowQueryError::Refused {
                operation: "list",
                reason: format!("{token:?} is no page"),
            })?,
        };
        let limit = crate::memory::list_limit(filter.limit);
        let newest = |place: &usize| self.newest.get(&self.runs[*place].info.workflow_id) == Some(place);
        let mut places = (0..before.min(self.runs.len()))
            .rev()
            .filter(newest)
            .filter(|place| self.runs[*place].is_wanted(filter));
        let page: Vec<usize> = places.by_ref().take(limit).collect();
        let next = places.next().and(page.last()).map(ToString::to_string);
        let workflows = page.into_iter().map(|place| self.runs[place].summary()).collect();
        Ok(WorkflowPage { workflows, next })
    }

    fn check_looks(&self, operation: &'static str) -> Result<(), WorkflowQueryError> {
        if self.is_away {
            let reason = AWAY.into();
            return Err(WorkflowQueryError::Unavailable { operation, reason });
        }
        Ok(())
    }
}

impl Run {
    fn summary(&self) -> WorkflowSummary {
        WorkflowSummary {
            id: self.info.workflow_id.clone(),
            run_id: self.info.run_id.clone(),
            status: self.status(),
            started_at: self.info.started_at,
            closed_at: self.closed_at,
        }
    }

    const fn status(&self) -> WorkflowStatus {
        match &self.end {
            None => WorkflowStatus::Running,
            Some(RunEnd::As(end)) => end.status(),
            Some(RunEnd::ContinuedAsNew) => WorkflowStatus::ContinuedAsNew,
        }
    }

    fn is_wanted(&self, filter: &WorkflowFilter) -> bool {
        let id = &self.info.workflow_id;
        filter.tenant.as_ref().is_none_or(|tenant| tenant == id.tenant())
            && filter.name.as_ref().is_none_or(|name| name == id.name())
            && filter.status.is_none_or(|status| status == self.status())
    }
}

#[async_trait]
impl WorkflowQuerier for InMemoryWorkflows {
    async fn describe(&self, id: &WorkflowId) -> Result<Option<WorkflowDescription>, WorkflowQueryError> {
        let state = self.lock();
        state.check_looks("describe")?;
        Ok(state.description(id))
    }

    async fn query(&self, id: &WorkflowId, key: &str) -> Result<Option<Value>, WorkflowQueryError> {
        let state = self.lock();
        state.check_looks("query")?;
        Ok(state.newest(id).and_then(|run| run.published.get(key).cloned()))
    }

    async fn list(&self, filter: &WorkflowFilter) -> Result<WorkflowPage, WorkflowQueryError> {
        let state = self.lock();
        state.check_looks("list")?;
        state.page(filter)
    }
}
