//! What cancelling, terminating and going on as a new run promise.

use aftercommit_domain::time::seconds;
use aftercommit_domain::workflows::{WorkflowDescription, WorkflowEnd, WorkflowStatus};
use serde_json::json;

use super::WorkflowEnvironment;
use super::fixture::{Note, Other, Program, Scene};

/// A cancelled workflow cleans up, and ends as cancelled.
pub async fn a_cancelled_workflow_cleans_up_and_ends_as_cancelled<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.begin("a", Program::CleanUp).await;
    scene.until_waiting("a", "signal note").await;
    scene.cancel("a").await;
    assert_eq!(scene.end("a").await, WorkflowEnd::Cancelled);
    assert_eq!(scene.world.jobs(), ["undo"]);
}

/// A workflow that is cancelled before it has begun to wait is cancelled all the same.
pub async fn a_workflow_that_is_cancelled_at_once_ends_as_cancelled<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.begin("a", Program::CleanUp).await;
    scene.cancel("a").await;
    assert_eq!(scene.end("a").await, WorkflowEnd::Cancelled);
}

/// A cancelled workflow may answer all the same.
pub async fn a_cancelled_workflow_may_answer_all_the_same<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.begin("a", Program::Insist).await;
    scene.cancel("a").await;
    assert_eq!(scene.answer("a").await, json!("all the same"));
}

/// A terminated workflow ends where it stands, says why, and cleans nothing up.
pub async fn a_terminated_workflow_ends_where_it_stands<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.begin("a", Program::CleanUp).await;
    scene.until_waiting("a", "signal note").await;
    scene.terminate("a").await;
    let WorkflowEnd::Terminated { reason } = scene.end("a").await else {
        panic!("it was terminated")
    };
    assert_eq!(reason, "the scenario said so");
    scene.pass(seconds(1)).await;
    assert!(scene.world.jobs().is_empty());
}

/// What does not run can neither be cancelled nor terminated.
pub async fn what_does_not_run_can_neither_be_cancelled_nor_terminated<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.begin("closed", Program::Answer).await;
    scene.end("closed").await;
    let starter = scene.environment.starter();
    for key in ["closed", "never"] {
        let refused = Err(scene.not_open(key).await);
        assert_eq!(starter.cancel(scene.to_stop(key)).await, refused);
        assert_eq!(starter.terminate(scene.to_stop(key)).await, refused);
    }
}

/// A workflow that goes on as a new run keeps its id and the signals that nobody took.
pub async fn a_workflow_that_continues_as_new_keeps_its_id_and_its_unread_signals<E: WorkflowEnvironment>(
    scene: &Scene<E>,
) {
    let first = scene.begin("a", Program::ContinueAsNew).await;
    // As early as can be: some engines have it before the first run has ended, others after.
    scene.tell("a", &Note("one".into())).await;
    scene.tell("a", &Note("two".into())).await;
    assert_eq!(scene.answer("a").await, json!(["one", "two"]));
    let description = scene.look("a").await;
    assert_ne!(description.summary.run_id, first);
    assert_eq!(description.summary.status, WorkflowStatus::Completed);
    assert!(description.attempt.is_none_or(|attempt| attempt == 3));
}

/// A cancellation that comes right after the signal that makes a workflow go on as a new run reaches the new run.
pub async fn a_workflow_that_continues_as_new_is_cancelled_by_what_came_with_its_last_signal<E: WorkflowEnvironment>(
    scene: &Scene<E>,
) {
    scene.begin("a", Program::GoOnAsNew).await;
    scene.until_waiting("a", "signal other").await;
    scene.tell("a", &Other(1)).await;
    scene.cancel("a").await;
    assert_eq!(scene.end("a").await, WorkflowEnd::Cancelled);
}

/// A workflow that leaves more unread signals than a run can begin with is stuck and says so, and no signal is lost.
pub async fn a_workflow_that_leaves_too_much_unread_to_a_new_run_says_so<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.begin("a", Program::GoOnAsNew).await;
    for _ in 0..24 {
        scene.tell("a", &Note("x".repeat(50_000))).await;
    }
    scene.tell("a", &Other(1)).await;
    // On a machine that is busy it may first be seen as one that took too long.
    let says_so = |description: &WorkflowDescription| {
        let problem = description.problem.as_ref();
        problem.is_some_and(|problem| problem.code == "workflow.too_many_signals")
    };
    let stuck = scene.until("a", "it says that its signals are too many", says_so).await;
    assert_eq!(stuck.summary.status, WorkflowStatus::Running);
}
