//! Failures of Temporal, and ours.

use std::borrow::Cow;

use aftercommit_domain::workflows::{StepError, WorkflowFailure};
use serde_json::Value;
use std::time::Duration;
use temporalio_common::error::ApplicationFailure;
use temporalio_common::protos::temporal::api::enums::v1::TimeoutType;
use temporalio_common::protos::temporal::api::failure::v1::Failure;
use temporalio_common::protos::temporal::api::failure::v1::failure::FailureInfo;

use crate::payload;

/// What the SDK calls it when a worker has no such activity.
pub(crate) const NOT_REGISTERED: &str = "NotFoundError";

/// A failure as Temporal keeps it: its type is our kind, and its details are ours.
pub(crate) fn application(failure: WorkflowFailure, retry_after: Option<Duration>) -> ApplicationFailure {
    let details = failure
        .details
        .as_ref()
        .map(|details| payload::raw([payload::of(details)]));
    let application = ApplicationFailure::builder(failure.message)
        .type_name(failure.kind.into_owned())
        .non_retryable(!failure.retryable)
        .maybe_next_retry_delay(retry_after);
    match details {
        Some(details) => application.details(details).build(),
        None => application.build(),
    }
}

/// What became of an activity that did not answer.
pub(crate) fn of_activity(failure: &Failure) -> StepError {
    let cause = innermost(failure);
    match &cause.failure_info {
        // That the activity was given up by its own workflow is nothing anybody reads.
        Some(FailureInfo::CanceledFailureInfo(_)) => {
            WorkflowFailure::permanent(WorkflowFailure::ACTIVITY_CANCELLED, "the activity was cancelled").into()
        }
        _ => of(cause).into(),
    }
}

/// What became of a child that did not answer.
pub(crate) fn of_child(failure: &Failure) -> StepError {
    let cause = innermost(failure);
    match &cause.failure_info {
        Some(FailureInfo::CanceledFailureInfo(_)) => {
            WorkflowFailure::permanent(WorkflowFailure::CHILD_CANCELLED, "the child was cancelled").into()
        }
        Some(FailureInfo::TerminatedFailureInfo(_)) => {
            WorkflowFailure::permanent(WorkflowFailure::CHILD_TERMINATED, "the child was terminated").into()
        }
        Some(FailureInfo::TimeoutFailureInfo(_)) => {
            WorkflowFailure::permanent("child.timed_out", "the child's time was over").into()
        }
        _ => of(cause).into(),
    }
}

/// What a failed workflow or activity failed with.
pub(crate) fn of(failure: &Failure) -> WorkflowFailure {
    let failure = innermost(failure);
    match &failure.failure_info {
        Some(FailureInfo::ApplicationFailureInfo(info)) => {
            let kind: Cow<'static, str> = match info.r#type.as_str() {
                NOT_REGISTERED => WorkflowFailure::UNKNOWN_ACTIVITY.into(),
                "" => "workflow.failed".into(),
                kind => kind.to_owned().into(),
            };
            let details = info.details.as_ref().and_then(|details| details.payloads.first());
            WorkflowFailure {
                retryable: !info.non_retryable,
                details: details.and_then(|details| payload::read::<Value>(details).ok()),
                ..WorkflowFailure::permanent(kind, &failure.message)
            }
        }
        Some(FailureInfo::TimeoutFailureInfo(info)) => match info.timeout_type() {
            TimeoutType::StartToClose => {
                WorkflowFailure::retryable(WorkflowFailure::TIMED_OUT, "an attempt of the activity took too long")
            }
            TimeoutType::Heartbeat => WorkflowFailure::retryable(
                WorkflowFailure::NO_HEARTBEAT,
                "an attempt of the activity gave no sign of life",
            ),
            TimeoutType::ScheduleToClose | TimeoutType::ScheduleToStart | TimeoutType::Unspecified => {
                WorkflowFailure::permanent(WorkflowFailure::EXPIRED, "the activity was not done in its time")
            }
        },
        Some(FailureInfo::CanceledFailureInfo(_)) => WorkflowFailure::permanent("workflow.cancelled", &failure.message),
        Some(FailureInfo::TerminatedFailureInfo(_)) => {
            WorkflowFailure::permanent("workflow.terminated", &failure.message)
        }
        _ => WorkflowFailure::permanent("workflow.failed", &failure.message),
    }
}

/// The failure that the others are only round: those say where it happened.
fn innermost(failure: &Failure) -> &Failure {
    let mut failure = failure;
    // A chain can be made longer than anyone reads.
    for _ in 0..32 {
        match (&failure.failure_info, &failure.cause) {
            (
                Some(
                    FailureInfo::ActivityFailureInfo(_)
                    | FailureInfo::ChildWorkflowExecutionFailureInfo(_)
                    | FailureInfo::ServerFailureInfo(_),
                ),
                Some(cause),
            ) => failure = cause,
            _ => break,
        }
    }
    failure
}
