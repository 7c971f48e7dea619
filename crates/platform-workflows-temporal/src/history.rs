//! What the newest events of a workflow's history tell.

use std::time::Duration;

use aftercommit_domain::failure::Failure;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::workflows::{WorkflowEnd, WorkflowId};
use serde_json::Value;
use temporalio_client::Client;
use temporalio_client::grpc::WorkflowService;
use temporalio_common::protos::temporal::api::common::v1::{Payloads, WorkflowExecution};
use temporalio_common::protos::temporal::api::enums::v1::TimeoutType;
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;
use temporalio_common::protos::temporal::api::workflowservice::v1::GetWorkflowExecutionHistoryReverseRequest;
use tokio::time::Instant;

use crate::call::Refusal;
use crate::connection::TemporalConnection;
use crate::worker::carried::told_before;
use crate::{failure, payload, problem};

/// The field of a signal's header that holds its request's id.
pub(crate) const REQUEST_ID: &str = "aftercommit-request-id";

/// How many events are asked for at once, and how many pages are read at most.
const PAGE: i32 = 200;
const PAGES: usize = 50;
/// How many runs are read of a workflow that went on as a new run again and again.
const RUNS: usize = 10;
/// How long histories are read before that is an error: well within the time of a request, where it would look like an outage
/// and be tried for ever.
const READING: Duration = Duration::from_secs(5);

/// A request that a run may have been told.
pub(crate) enum Told {
    Signal(MessageId),
    Cancel(MessageId),
    Terminate(MessageId),
}

impl TemporalConnection {
    /// Whether the history of a run, or of the runs it continues, holds this request. Histories longer than 10 000 events
    /// are not read to their beginning, and no more than ten runs.
    pub(crate) async fn was_told(&self, id: &WorkflowId, run_id: &str, told: &Told) -> Result<bool, Refusal> {
        let until = Instant::now() + READING;
        let mut run_id = run_id.to_owned();
        for _ in 0..RUNS {
            match self.told_in(id, &run_id, told, until).await? {
                Found::Told => return Ok(true),
                Found::NotIn { before: Some(before) } => run_id = before,
                Found::NotIn { before: None } => break,
            }
        }
        Ok(false)
    }

    async fn told_in(&self, id: &WorkflowId, run_id: &str, told: &Told, until: Instant) -> Result<Found, Refusal> {
        let mut token = Vec::new();
        for _ in 0..PAGES {
            if Instant::now() > until {
                let reason = "its history is too long to look through for what it was told";
                return Err(Refusal::Failed(format!("{reason} within {READING:?}")));
            }
            let (events, next) = match self.newest_events(id, run_id, PAGE, token).await {
                // Earlier runs are forgotten first.
                Err(Refusal::NotFound) => break,
                read => read?,
            };
            if events.iter().any(|event| told.is(event)) {
                return Ok(Found::Told);
            }
            if next.is_empty() {
                return Ok(events
                    .last()
                    .map_or(Found::NotIn { before: None }, |first| told.before(first)));
            }
            token = next;
        }
        Ok(Found::NotIn { before: None })
    }

    /// Why a run's newest task failed, if it did.
    pub(crate) async fn problem(&self, id: &WorkflowId, run_id: &str) -> Result<Option<Failure>, Refusal> {
        let (events, _) = self.newest_events(id, run_id, 20, Vec::new()).await?;
        for event in events {
            match event {
                Attributes::WorkflowTaskFailedEventAttributes(failed) => {
                    let said = failed.failure.as_ref().map_or("", |failure| failure.message.as_str());
                    return Ok(Some(problem::of(failed.cause(), said)));
                }
                Attributes::WorkflowTaskTimedOutEventAttributes(timed_out)
                    if timed_out.timeout_type() == TimeoutType::StartToClose =>
                {
                    return Ok(Some(problem::timed_out()));
                }
                Attributes::WorkflowTaskCompletedEventAttributes(_) => return Ok(None),
                _ => {}
            }
        }
        Ok(None)
    }

    /// How a closed run ended.
    pub(crate) async fn end(&self, id: &WorkflowId, run_id: &str) -> Result<Option<WorkflowEnd>, Refusal> {
        let (events, _) = self.newest_events(id, run_id, 1, Vec::new()).await?;
        Ok(events.into_iter().next().and_then(end_of))
    }

    async fn newest_events(
        &self,
        id: &WorkflowId,
        run_id: &str,
        most: i32,
        token: Vec<u8>,
    ) -> Result<(Vec<Attributes>, Vec<u8>), Refusal> {
        let request = GetWorkflowExecutionHistoryReverseRequest {
            namespace: self.config.namespace.clone(),
            execution: Some(WorkflowExecution {
                workflow_id: id.to_string(),
                run_id: run_id.to_owned(),
            }),
            maximum_page_size: most,
            next_page_token: token,
        };
        let page = self
            .call(
                <Client as WorkflowService>::get_workflow_execution_history_reverse,
                request,
            )
            .await?;
        let events = page.history.unwrap_or_default().events;
        let attributes = events.into_iter().filter_map(|event| event.attributes);
        Ok((attributes.collect(), page.next_page_token))
    }
}

/// Whether a request is in a run's history.
enum Found {
    Told,
    /// The run it continues may hold it, if there is one.
    NotIn {
        before: Option<String>,
    },
}

impl Told {
    /// What a run's first event tells of the runs before it.
    fn before(&self, first: &Attributes) -> Found {
        let Attributes::WorkflowExecutionStartedEventAttributes(started) = first else {
            return Found::NotIn { before: None };
        };
        let input = started.input.as_ref().map_or(&[][..], |input| &input.payloads);
        match (self, told_before(input)) {
            // Every run of ours begins with what the ones before it were told.
            (Self::Signal(id), Some(told)) if told.contains(&id.to_string()) => Found::Told,
            (Self::Signal(_), Some(_)) | (Self::Terminate(_), _) => Found::NotIn { before: None },
            _ => Found::NotIn {
                before: Some(started.continued_execution_run_id.clone()).filter(|run_id| !run_id.is_empty()),
            },
        }
    }

    fn is(&self, event: &Attributes) -> bool {
        match (self, event) {
            (Self::Signal(id), Attributes::WorkflowExecutionSignaledEventAttributes(signal)) => {
                let header = signal.header.as_ref().and_then(|header| header.fields.get(REQUEST_ID));
                header.is_some_and(|header| payload::read(header) == Ok(id.to_string()))
            }
            (Self::Cancel(id), Attributes::WorkflowExecutionCancelRequestedEventAttributes(cancel)) => {
                cancel.identity.ends_with(&id.to_string())
            }
            (Self::Terminate(id), Attributes::WorkflowExecutionTerminatedEventAttributes(end)) => {
                let details = end.details.as_ref().and_then(|details| details.payloads.first());
                details.is_some_and(|details| payload::read(details) == Ok(id.to_string()))
            }
            _ => false,
        }
    }
}

fn end_of(event: Attributes) -> Option<WorkflowEnd> {
    match event {
        Attributes::WorkflowExecutionCompletedEventAttributes(end) => Some(WorkflowEnd::Completed(answer(end.result))),
        Attributes::WorkflowExecutionFailedEventAttributes(end) => {
            Some(WorkflowEnd::Failed(failure::of(&end.failure.unwrap_or_default())))
        }
        Attributes::WorkflowExecutionCanceledEventAttributes(_) => Some(WorkflowEnd::Cancelled),
        Attributes::WorkflowExecutionTerminatedEventAttributes(end) => {
            Some(WorkflowEnd::Terminated { reason: end.reason })
        }
        Attributes::WorkflowExecutionTimedOutEventAttributes(_) => Some(WorkflowEnd::TimedOut),
        _ => None,
    }
}

/// What is no JSON, another program has answered: `null` stands for it.
fn answer(result: Option<Payloads>) -> Value {
    payload::first(&result.unwrap_or_default().payloads).unwrap_or_default()
}
