//! `WorkflowQuerier` on Temporal.

use std::collections::HashMap;
use std::time::Duration;

use aftercommit_domain::contract::{RunId, Tenant, WorkflowKey, WorkflowName};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::time::{Timestamp, to_micros};
use aftercommit_domain::workflows::{
    StepNumber, WaitingStep, WorkflowDescription, WorkflowFilter, WorkflowId, WorkflowPage, WorkflowQuerier,
    WorkflowQueryError, WorkflowStatus, WorkflowSummary,
};
use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::SystemTime;
use temporalio_client::Client;
use temporalio_client::grpc::WorkflowService;
use temporalio_common::protos::temporal::api::enums::v1::WorkflowExecutionStatus;
use temporalio_common::protos::temporal::api::query::v1::WorkflowQuery;
use temporalio_common::protos::temporal::api::workflow::v1::{PendingActivityInfo, WorkflowExecutionInfo};
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse, ListWorkflowExecutionsRequest,
    QueryWorkflowRequest,
};
use tokio::time::{Instant, timeout};

use crate::Temporal;
use crate::call::Refusal;
use crate::payload;
use crate::starter::{MEMO_REQUEST, newest_run, run_id};
use crate::worker::drive::MEMO_ATTEMPT;
use crate::worker::hosted::{PUBLISHED, WAITING};

/// How long a description waits for a worker to tell which steps a run waits for; the server knows most of them.
const WAITING_PATIENCE: Duration = Duration::from_secs(3);

/// How often the server is asked at most to fill one page.
const LOOKS: usize = 20;

#[async_trait]
impl WorkflowQuerier for Temporal {
    async fn describe(&self, id: &WorkflowId) -> Result<Option<WorkflowDescription>, WorkflowQueryError> {
        self.description(id).await.map_err(|refusal| error("describe", refusal))
    }

    async fn query(&self, id: &WorkflowId, key: &str) -> Result<Option<Value>, WorkflowQueryError> {
        let published = self.ask::<Option<[Value; 1]>>(id, PUBLISHED, Some(key)).await;
        match published {
            Ok(published) => Ok(published.map(|[value]| value)),
            Err(Refusal::NotFound) => Ok(None),
            Err(refusal) => Err(error("query", refusal)),
        }
    }

    async fn list(&self, filter: &WorkflowFilter) -> Result<WorkflowPage, WorkflowQueryError> {
        self.page(filter).await.map_err(|refusal| error("list", refusal))
    }
}

/// The newest run of an id, as far as a starter needs it.
pub(crate) struct Newest {
    pub(crate) run_id: RunId,
    pub(crate) is_open: bool,
}

impl Temporal {
    /// The newest run of an id.
    pub(crate) async fn newest(&self, id: &WorkflowId) -> Result<Option<Newest>, Refusal> {
        let Some(described) = self.described(id).await? else {
            return Ok(None);
        };
        let info = described.workflow_execution_info.unwrap_or_default();
        Ok(Some(Newest {
            is_open: status(&info) == WorkflowStatus::Running,
            run_id: run_id(info.execution.unwrap_or_default().run_id)?,
        }))
    }

    /// The run that was started by a request, if the server remembers it.
    pub(crate) async fn run_of(&self, id: &WorkflowId, request: MessageId) -> Result<Option<RunId>, Refusal> {
        let Some(newest) = self.described(id).await? else {
            // There has been none.
            return Ok(None);
        };
        let newest = newest.workflow_execution_info;
        if let Some(info) = newest.filter(|info| is_of(info, request)) {
            return run_id(info.first_run_id).map(Some);
        }
        let query = format!("WorkflowId = {}", quoted(&id.to_string()));
        let (earlier, _) = self.listed(query, 1000, Vec::new()).await?;
        // The last of the list began first.
        let of_request = earlier.into_iter().rfind(|info| is_of(info, request));
        of_request
            .map(|info| run_id(info.execution.unwrap_or_default().run_id))
            .transpose()
    }

    async fn described(&self, id: &WorkflowId) -> Result<Option<DescribeWorkflowExecutionResponse>, Refusal> {
        let request = DescribeWorkflowExecutionRequest {
            namespace: self.config().namespace.clone(),
            execution: Some(newest_run(id)),
        };
        match self
            .connection
            .call(<Client as WorkflowService>::describe_workflow_execution, request)
            .await
        {
            Ok(described) => Ok(Some(described)),
            Err(Refusal::NotFound) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    async fn description(&self, id: &WorkflowId) -> Result<Option<WorkflowDescription>, Refusal> {
        let Some(described) = self.described(id).await? else {
            return Ok(None);
        };
        let info = described.workflow_execution_info.unwrap_or_default();
        let summary = summary(&info)?;
        let run = summary.run_id.as_str();
        let is_open = summary.status == WorkflowStatus::Running;
        // A task that failed is tried again, and its attempts are counted.
        let is_failing = described.pending_workflow_task.is_some_and(|task| task.attempt > 1);
        let problem = if is_open && is_failing {
            self.connection.problem(id, run).await?
        } else {
            None
        };
        let end = if is_open {
            None
        } else {
            self.connection.end(id, run).await?
        };
        let waiting = if !is_open {
            Vec::new()
        } else if problem.is_some() {
            pending(&described.pending_activities)
        } else {
            let told = timeout(WAITING_PATIENCE, self.ask(id, WAITING, None)).await;
            // No worker is there, or it is another program's.
            told.ok()
                .and_then(Result::ok)
                .unwrap_or_else(|| pending(&described.pending_activities))
        };
        Ok(Some(WorkflowDescription {
            summary,
            attempt: attempt(&info),
            waiting,
            problem,
            end,
        }))
    }

    async fn ask<T: DeserializeOwned>(&self, id: &WorkflowId, name: &str, key: Option<&str>) -> Result<T, Refusal> {
        let request = QueryWorkflowRequest {
            namespace: self.config().namespace.clone(),
            execution: Some(newest_run(id)),
            query: Some(WorkflowQuery {
                query_type: name.to_owned(),
                query_args: Some(payload::all(key.map(payload::of).into_iter().collect::<Vec<_>>())),
                ..WorkflowQuery::default()
            }),
            ..QueryWorkflowRequest::default()
        };
        let answered = self
            .connection
            .call(<Client as WorkflowService>::query_workflow, request)
            .await?;
        let answer = payload::first(&answered.query_result.unwrap_or_default().payloads);
        let answer = answer.and_then(|answer| serde_json::from_value(answer).map_err(|error| error.to_string()));
        answer.map_err(|reason| Refusal::Invalid(format!("the answer cannot be read: {reason}")))
    }

    async fn page(&self, filter: &WorkflowFilter) -> Result<WorkflowPage, Refusal> {
        let limit = filter.limit.unwrap_or(50).clamp(1, 1000);
        let Some(query) = query_of(filter) else {
            return Ok(WorkflowPage::default());
        };
        let mut token = match &filter.after {
            Some(after) => token_of(after).ok_or_else(|| Refusal::Invalid("there is no such page".to_owned()))?,
            None => Vec::new(),
        };
        let (mut workflows, mut newest) = (Vec::new(), HashMap::new());
        let limit = usize::try_from(limit).unwrap_or(1000);
        let began = Instant::now();
        for _ in 0..LOOKS {
            let (infos, next) = self.listed(query.clone(), limit - workflows.len(), token).await?;
            for info in infos {
                workflows.extend(self.if_newest(&info, &mut newest).await?);
            }
            token = next;
            // Of workflows that ran again and again, most runs are passed over: the page may be short then.
            if token.is_empty() || workflows.len() >= limit || began.elapsed() >= self.config().call_timeout {
                break;
            }
        }
        let next = (!token.is_empty()).then(|| page_of(&token));
        Ok(WorkflowPage { workflows, next })
    }

    /// `None` for a run that has a newer one, and for what is no workflow of ours. The newest runs are asked for once.
    async fn if_newest(
        &self,
        info: &WorkflowExecutionInfo,
        known: &mut HashMap<WorkflowId, Option<RunId>>,
    ) -> Result<Option<WorkflowSummary>, Refusal> {
        let Ok(found) = summary(info) else {
            return Ok(None);
        };
        // An open run has none.
        if found.status == WorkflowStatus::Running {
            known.insert(found.id.clone(), Some(found.run_id.clone()));
            return Ok(Some(found));
        }
        if !known.contains_key(&found.id) {
            let newest = self.newest(&found.id).await?;
            known.insert(found.id.clone(), newest.map(|newest| newest.run_id));
        }
        let newest = known.get(&found.id).and_then(Option::as_ref);
        Ok(newest.is_none_or(|newest| *newest == found.run_id).then_some(found))
    }

    async fn listed(
        &self,
        query: String,
        most: usize,
        token: Vec<u8>,
    ) -> Result<(Vec<WorkflowExecutionInfo>, Vec<u8>), Refusal> {
        let request = ListWorkflowExecutionsRequest {
            namespace: self.config().namespace.clone(),
            page_size: i32::try_from(most).unwrap_or(1000),
            next_page_token: token,
            query,
        };
        let page = self
            .connection
            .call(<Client as WorkflowService>::list_workflow_executions, request)
            .await?;
        Ok((page.executions, page.next_page_token))
    }
}

/// As the server's visibility store is asked. `None`: nothing can be so.
fn query_of(filter: &WorkflowFilter) -> Option<String> {
    let mut conditions = Vec::new();
    if let Some(tenant) = &filter.tenant {
        // Every id begins with its tenant, whatever the namespace indexes.
        let prefix = prefix_of(tenant)?;
        conditions.push(format!("WorkflowId STARTS_WITH {}", quoted(&prefix)));
    }
    if let Some(name) = &filter.name {
        conditions.push(format!("WorkflowType = {}", quoted(name.as_str())));
    }
    let status = match filter.status {
        None => None,
        Some(WorkflowStatus::Running) => Some("Running"),
        Some(WorkflowStatus::Completed) => Some("Completed"),
        Some(WorkflowStatus::Failed) => Some("Failed"),
        Some(WorkflowStatus::Cancelled) => Some("Canceled"),
        Some(WorkflowStatus::Terminated) => Some("Terminated"),
        Some(WorkflowStatus::TimedOut) => Some("TimedOut"),
        // Such a run has a newer one.
        Some(WorkflowStatus::ContinuedAsNew) => return None,
    };
    conditions.push(status.map_or_else(
        || "ExecutionStatus != 'ContinuedAsNew'".to_owned(),
        |status| format!("ExecutionStatus = '{status}'"),
    ));
    Some(conditions.join(" AND "))
}

/// What every id of a tenant begins with. Made of an id, so that it is spelled as ids are.
fn prefix_of(tenant: &Tenant) -> Option<String> {
    const NAME: WorkflowName = WorkflowName::constant("x");
    let id = WorkflowId::new(tenant.clone(), NAME, WorkflowKey::new("x").ok()?).to_string();
    id.strip_suffix("x/x").map(str::to_owned)
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn is_of(info: &WorkflowExecutionInfo, request: MessageId) -> bool {
    let memo = info.memo.as_ref().and_then(|memo| memo.fields.get(MEMO_REQUEST));
    memo.is_some_and(|memo| payload::read(memo) == Ok(request.to_string()))
}

/// `None` of what another program runs. Children have no memo until they go on as new runs; theirs are the parents of ours.
fn attempt(info: &WorkflowExecutionInfo) -> Option<u32> {
    let field = |name| info.memo.as_ref().and_then(|memo| memo.fields.get(name));
    if let Some(attempt) = field(MEMO_ATTEMPT) {
        return payload::read(attempt).ok();
    }
    let is_child_of_ours = || {
        let parent = info.parent_execution.as_ref();
        parent.is_some_and(|parent| parent.workflow_id.parse::<WorkflowId>().is_ok())
    };
    (field(MEMO_REQUEST).is_some() || is_child_of_ours()).then_some(1)
}

fn summary(info: &WorkflowExecutionInfo) -> Result<WorkflowSummary, Refusal> {
    let execution = info.execution.clone().unwrap_or_default();
    let id = execution.workflow_id.parse();
    let id =
        id.map_err(|error| Refusal::Invalid(format!("{} is no workflow of ours: {error}", execution.workflow_id)))?;
    Ok(WorkflowSummary {
        id,
        run_id: run_id(execution.run_id)?,
        status: status(info),
        started_at: info.start_time.map_or(Timestamp::UNIX_EPOCH, time),
        closed_at: info.close_time.map(time),
    })
}

fn status(info: &WorkflowExecutionInfo) -> WorkflowStatus {
    match info.status() {
        WorkflowExecutionStatus::Completed => WorkflowStatus::Completed,
        WorkflowExecutionStatus::Failed => WorkflowStatus::Failed,
        WorkflowExecutionStatus::Canceled => WorkflowStatus::Cancelled,
        WorkflowExecutionStatus::Terminated => WorkflowStatus::Terminated,
        WorkflowExecutionStatus::ContinuedAsNew => WorkflowStatus::ContinuedAsNew,
        WorkflowExecutionStatus::TimedOut => WorkflowStatus::TimedOut,
        WorkflowExecutionStatus::Running | WorkflowExecutionStatus::Paused | WorkflowExecutionStatus::Unspecified => {
            WorkflowStatus::Running
        }
    }
}

/// The activities that the server knows to be asked for.
fn pending(activities: &[PendingActivityInfo]) -> Vec<WaitingStep> {
    let mut steps: Vec<WaitingStep> = activities
        .iter()
        .filter_map(|activity| {
            Some(WaitingStep {
                number: StepNumber(activity.activity_id.parse().ok()?),
                label: format!("activity {}", activity.activity_type.as_ref()?.name),
                since: activity.scheduled_time.map_or(Timestamp::UNIX_EPOCH, time),
            })
        })
        .collect();
    steps.sort_by_key(|step| step.number);
    steps
}

fn time(time: impl TryInto<SystemTime>) -> Timestamp {
    let time: Option<SystemTime> = time.try_into().ok();
    time.map_or(Timestamp::UNIX_EPOCH, |time| to_micros(time.into()))
}

fn page_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

fn token_of(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).ok()
}

pub(crate) fn error(operation: &'static str, refusal: Refusal) -> WorkflowQueryError {
    match refusal {
        Refusal::Invalid(reason) => WorkflowQueryError::Refused { operation, reason },
        Refusal::Failed(reason) => WorkflowQueryError::EngineFailed { operation, reason },
        Refusal::Unavailable(reason) => WorkflowQueryError::Unavailable { operation, reason },
        Refusal::NotFound => WorkflowQueryError::Refused {
            operation,
            reason: "there is no such workflow".to_owned(),
        },
        Refusal::AlreadyExists(_) => WorkflowQueryError::Refused {
            operation,
            reason: "the server speaks of another start".to_owned(),
        },
    }
}
