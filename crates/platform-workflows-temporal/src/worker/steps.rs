//! Steps that Temporal records: activities, timers, children.

use std::time::Duration;

use aftercommit_domain::contract::{OrganizationId, ProjectId, Tenant};
use aftercommit_domain::workflows::{
    ActivityOptions, IdReuse, StepCommand, StepError, StepNumber, WorkflowFailure, WorkflowProblem,
};
use futures::future::LocalBoxFuture;
use serde_json::Value;
use temporalio_common::data_converters::{PayloadConversionError, RawValue};
use temporalio_common::error::{
    ActivityExecutionError, ChildWorkflowExecutionError, ChildWorkflowStartError,
    StartChildWorkflowExecutionFailedCause,
};
use temporalio_common::protos::temporal::api::common::v1::Payload;
use temporalio_common::search_attributes::{SearchAttributeKey, SearchAttributes};
use temporalio_common::{ActivityCloseTimeouts, RetryPolicy, UntypedActivity, UntypedWorkflow};
use temporalio_sdk::{
    ActivityOptions as SdkActivityOptions, ChildWorkflowOptions, ParentClosePolicy, TimerOptions, TimerResult,
    WorkflowCancellationToken, WorkflowContext, WorkflowIdReusePolicy,
};

use super::hosted::HostedWorkflow;
use super::presence;
use crate::{failure, payload};

type Answered = LocalBoxFuture<'static, Result<Value, StepError>>;

/// Gives the command to the SDK when it is polled first, and answers when the history does.
pub(super) fn recorded(
    ctx: &WorkflowContext<HostedWorkflow>,
    number: StepNumber,
    command: StepCommand,
    cause: &Payload,
    token: &WorkflowCancellationToken,
) -> Result<Answered, WorkflowProblem> {
    match command {
        StepCommand::Activity { name, input, options } => {
            let input = payload::raw(input_of_activity(&input, cause, options.heartbeat));
            let options = activity_options(number, &options, token);
            let (ctx, activity) = (ctx.clone(), UntypedActivity::new(name.as_str()));
            Ok(Box::pin(async move {
                let answered = ctx.execute_activity(activity, input, options).await;
                answered.map_err(of_activity).and_then(|answered| answer(&answered))
            }))
        }
        StepCommand::Sleep { duration } => {
            let options = TimerOptions::builder(duration)
                .cancellation_token(token.clone())
                .build();
            let ctx = ctx.clone();
            Ok(Box::pin(async move {
                match ctx.timer(options).await {
                    TimerResult::Fired => Ok(Value::Null),
                    TimerResult::Cancelled => Err(StepError::Cancelled),
                }
            }))
        }
        StepCommand::Child { id, reuse, input } => {
            let options = ChildWorkflowOptions::builder()
                .workflow_id(id.to_string())
                .maybe_search_attributes(attributes_of_child(ctx, id.tenant()))
                .cancellation_token(token.clone())
                .parent_close_policy(ParentClosePolicy::RequestCancel)
                .id_reuse_policy(match reuse {
                    IdReuse::AfterClose => WorkflowIdReusePolicy::AllowDuplicate,
                    IdReuse::OnceEver => WorkflowIdReusePolicy::RejectDuplicate,
                })
                .build();
            let child = UntypedWorkflow::new(id.name().as_str());
            let input = payload::raw([payload::of_text(input.encode())]);
            let ctx = ctx.clone();
            Ok(Box::pin(async move {
                let started = ctx
                    .start_child_workflow(child, input, options)
                    .await
                    .map_err(of_start)?;
                started
                    .result()
                    .await
                    .map_err(of_child)
                    .and_then(|answered| answer(&answered))
            }))
        }
        StepCommand::WaitSignal { name } => Err(WorkflowProblem::Engine {
            reason: format!("the signal {name} is no command of Temporal"),
        }),
    }
}

const ORGANIZATION: SearchAttributeKey<String> = SearchAttributeKey::keyword("AftercommitOrganization");
const PROJECT: SearchAttributeKey<String> = SearchAttributeKey::keyword("AftercommitProject");

/// A child is indexed where its parent is: a namespace that has no attributes of ours would refuse it.
fn attributes_of_child(ctx: &WorkflowContext<HostedWorkflow>, tenant: &Tenant) -> Option<SearchAttributes> {
    if !ctx.search_attributes().contains_key(&ORGANIZATION) {
        return None;
    }
    let organization = tenant.organization_id().map(OrganizationId::to_string);
    let project = tenant.project_id().map(ProjectId::to_string);
    let fields = [(ORGANIZATION, organization), (PROJECT, project)];
    let set = fields
        .into_iter()
        .filter_map(|(key, value)| key.try_value_set(value?).ok());
    Some(SearchAttributes::new(set))
}

fn activity_options(
    number: StepNumber,
    options: &ActivityOptions,
    token: &WorkflowCancellationToken,
) -> SdkActivityOptions {
    let start_to_close = options.start_to_close;
    let timeouts = match options.schedule_to_close {
        Some(schedule_to_close) => ActivityCloseTimeouts::ScheduleAndStartToClose {
            schedule_to_close,
            start_to_close,
        },
        None => ActivityCloseTimeouts::StartToClose(start_to_close),
    };
    let retry = RetryPolicy::builder()
        .initial_interval(options.retry.base)
        .backoff_coefficient(options.retry.factor.max(1.0))
        .maximum_interval(options.retry.max_delay.max(options.retry.base))
        .maximum_attempts(options.retry.max_attempts.max(1))
        .build();
    SdkActivityOptions::with_close_timeouts(timeouts)
        .activity_id(number.to_string())
        .heartbeat_timeout(presence::lost_after(options.heartbeat))
        .cancellation_token(token.clone())
        .retry_policy(retry)
        .build()
}

/// What an activity is given, in the order in which any build reads it: its input, what it follows from, and within how many
/// milliseconds signs of life are expected of it, if they are.
pub(crate) fn input_of_activity(input: &Value, cause: &Payload, heartbeat: Option<Duration>) -> Vec<Payload> {
    let signs = heartbeat.map(presence::expect_signs);
    let input = [payload::of(input), cause.clone()];
    input.into_iter().chain(signs).collect()
}

fn answer(answered: &RawValue) -> Result<Value, StepError> {
    payload::first(&answered.payloads).map_err(malformed)
}

fn malformed(reason: String) -> StepError {
    WorkflowFailure::permanent(WorkflowFailure::MALFORMED, reason).into()
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn unreadable(error: PayloadConversionError) -> StepError {
    malformed(error.to_string())
}

fn of_activity(error: ActivityExecutionError) -> StepError {
    let message = error.to_string();
    match error {
        ActivityExecutionError::Failed(failed) => failure::of_activity(failed.failure()),
        ActivityExecutionError::Cancelled(cancelled) => failure::of_activity(cancelled.failure()),
        ActivityExecutionError::Serialization(error) => unreadable(error),
        _ => WorkflowFailure::permanent("activity.failed", message).into(),
    }
}

fn of_child(error: ChildWorkflowExecutionError) -> StepError {
    match error {
        ChildWorkflowExecutionError::Failed(failed) => failure::of_child(failed.failure()),
        ChildWorkflowExecutionError::Serialization(error) => unreadable(error),
        other => malformed(other.to_string()),
    }
}

fn of_start(error: ChildWorkflowStartError) -> StepError {
    let message = error.to_string();
    match error {
        ChildWorkflowStartError::StartFailed {
            cause: StartChildWorkflowExecutionFailedCause::WorkflowAlreadyExists,
            ..
        } => WorkflowFailure::permanent(
            WorkflowFailure::CHILD_ALREADY_STARTED,
            "the child's id is taken by a workflow that runs, or ran and runs once ever",
        )
        .into(),
        ChildWorkflowStartError::Cancelled(cancelled) => failure::of_child(cancelled.failure()),
        ChildWorkflowStartError::Serialization(error) => unreadable(error),
        _ => WorkflowFailure::permanent("child.not_started", message).into(),
    }
}
