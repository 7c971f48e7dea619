//! Why a run cannot go on: written into the history by a worker, read from there by whoever asks.

use std::borrow::Cow;

use aftercommit_domain::failure::{ErrorClass, Failure};
use temporalio_common::protos::temporal::api::enums::v1::WorkflowTaskFailedCause;

/// What every code of a problem begins with.
const CODES: &str = "workflow.";
const ENGINE: &str = "workflow.engine";
const TIMED_OUT: &str = "workflow.task_timed_out";

/// As it stands in the history.
pub(crate) fn text(code: &str, message: &str) -> String {
    format!("{code}: {message}")
}

/// What a failed task of the workflow says.
pub(crate) fn of(cause: WorkflowTaskFailedCause, said: &str) -> Failure {
    let problem = |code: Cow<'static, str>, message: &str| Failure::new(code, ErrorClass::Retryable, message);
    if let Some((code, message)) = said.split_once(": ")
        && code.starts_with(CODES)
        && !code.contains(char::is_whitespace)
    {
        return problem(code.to_owned().into(), message);
    }
    // The rest are the SDK's own words.
    let code = if cause == WorkflowTaskFailedCause::NonDeterministicError {
        "workflow.nondeterministic"
    } else if said.starts_with("Workflow type ") && said.ends_with(" not found") {
        "workflow.unknown"
    } else {
        ENGINE
    };
    problem(code.into(), said)
}

/// A worker took a task of the workflow and did not come back with it.
pub(crate) fn timed_out() -> Failure {
    let said = "the code of the workflow did not come to its next step in time, or its worker died meanwhile: it must \
                neither block nor run on without end";
    Failure::new(TIMED_OUT, ErrorClass::Retryable, said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(cause: WorkflowTaskFailedCause, said: &str) -> String {
        of(cause, said).code.into_owned()
    }

    #[test]
    fn what_a_worker_wrote_is_read_again() {
        use WorkflowTaskFailedCause::{NonDeterministicError, WorkflowWorkerUnhandledFailure as Other};
        let read = of(Other, &text("workflow.panicked", "the code panicked: a: b"));
        assert_eq!(
            (&*read.code, &*read.message),
            ("workflow.panicked", "the code panicked: a: b")
        );
        assert_eq!(
            code(NonDeterministicError, "[TMPRL1100] x"),
            "workflow.nondeterministic"
        );
        assert_eq!(code(Other, "Workflow type orders not found"), "workflow.unknown");
        assert_eq!(code(Other, "workflow. what: else"), ENGINE);
    }
}
