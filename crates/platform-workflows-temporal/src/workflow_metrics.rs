//! What is counted of workflows on Temporal. Labels are fixed words, and names that are registered here: the SDK hands out no
//! others.

use std::any::type_name;
use std::time::Duration;

use aftercommit_domain::workflows::ActivityError;
use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

use crate::call::Refusal;

/// How one run, or one try at it, came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunEnd {
    Completed,
    Failed,
    Cancelled,
    ContinuedAsNew,
    /// It could not go on; it is tried again, later and later.
    Stuck,
}

/// Says what the metrics are. Once for a process is enough, and more is no harm.
pub(crate) fn describe() {
    describe_counter!(
        "aftercommit_workflow_calls_total",
        "Calls to Temporal by what came of them: answered, refused, failed, unavailable"
    );
    describe_histogram!(
        "aftercommit_workflow_call_seconds",
        Unit::Seconds,
        "How long calls to Temporal took, repetitions included"
    );
    describe_counter!(
        "aftercommit_workflow_runs_total",
        "Runs by how they ended here: completed, failed, cancelled, continued; stuck: tries at one whose code could not go on"
    );
    describe_counter!(
        "aftercommit_activities_total",
        "Attempts by what came of them: completed, cancelled, retryable, permanent"
    );
    describe_histogram!(
        "aftercommit_activity_run_seconds",
        Unit::Seconds,
        "How long attempts ran"
    );
}

/// A call has ended that sends a `Req`.
pub(crate) fn called<Req, T>(answered: &Result<T, Refusal>, took: Duration) {
    let outcome = match answered {
        Ok(_) => "answered",
        Err(Refusal::NotFound | Refusal::AlreadyExists(_) | Refusal::Invalid(_)) => "refused",
        Err(Refusal::Failed(_)) => "failed",
        Err(Refusal::Unavailable(_)) => "unavailable",
    };
    counter!("aftercommit_workflow_calls_total", "call" => name_of::<Req>(), "outcome" => outcome).increment(1);
    histogram!("aftercommit_workflow_call_seconds", "call" => name_of::<Req>()).record(took);
}

/// The server's own name of the call.
fn name_of<Req>() -> &'static str {
    let path = type_name::<Req>();
    let name = path.rsplit("::").next().unwrap_or(path);
    name.strip_suffix("Request").unwrap_or(name)
}

/// A run of this registered workflow has ended here.
pub(crate) fn run_ended(workflow: &str, end: RunEnd) {
    let outcome = match end {
        RunEnd::Completed => "completed",
        RunEnd::Failed => "failed",
        RunEnd::Cancelled => "cancelled",
        RunEnd::ContinuedAsNew => "continued",
        RunEnd::Stuck => "stuck",
    };
    counter!("aftercommit_workflow_runs_total", "workflow" => workflow.to_owned(), "outcome" => outcome).increment(1);
}

/// An attempt at this registered activity has ended.
pub(crate) fn attempt_ended<T>(activity: &str, ended: &Result<T, ActivityError>, took: Duration) {
    let outcome = match ended {
        Ok(_) => "completed",
        Err(ActivityError::Cancelled) => "cancelled",
        Err(ActivityError::Failed { failure, .. }) if failure.retryable => "retryable",
        Err(ActivityError::Failed { .. }) => "permanent",
    };
    counter!("aftercommit_activities_total", "activity" => activity.to_owned(), "outcome" => outcome).increment(1);
    histogram!("aftercommit_activity_run_seconds", "activity" => activity.to_owned()).record(took);
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;
    use temporalio_common::protos::temporal::api::workflowservice::v1::StartWorkflowExecutionRequest;

    use super::*;

    #[test]
    fn a_call_has_the_name_that_the_server_gives_it() {
        assert_eq!(name_of::<StartWorkflowExecutionRequest>(), "StartWorkflowExecution");
    }

    fn counted(record: impl FnOnce()) -> String {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, record);
        recorder.handle().render()
    }

    #[test]
    fn what_came_of_a_call_has_four_words() {
        let refusals = [
            (Refusal::NotFound, "refused"),
            (Refusal::AlreadyExists(None), "refused"),
            (Refusal::Invalid("too long".into()), "refused"),
            (Refusal::Failed("shard 7 is lost".into()), "failed"),
            (Refusal::Unavailable("away".into()), "unavailable"),
        ];
        let outcomes = refusals.map(|(refusal, word)| (Err(refusal), word));
        for (answered, word) in outcomes.into_iter().chain([(Ok(()), "answered")]) {
            let text = counted(|| called::<StartWorkflowExecutionRequest, ()>(&answered, Duration::from_millis(3)));
            let labels = format!("{{call=\"StartWorkflowExecution\",outcome=\"{word}\"}} 1");
            assert!(text.contains(&labels), "{answered:?}: {text}");
        }
    }
}
