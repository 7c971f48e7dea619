//! What children promise.

use aftercommit_domain::workflows::{WorkflowEnd, WorkflowFailure, WorkflowFilter, WorkflowStatus};
use serde_json::json;

use super::WorkflowEnvironment;
use super::fixture::{Program, Scene, tenant};

/// A child is a workflow of its own, and answers its parent.
pub async fn a_child_answers_its_parent<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.begin("a", Program::Child).await;
    assert_eq!(scene.answer("a").await, json!(5));
    assert_eq!(scene.status("child").await, WorkflowStatus::Completed);
}

/// A child is of its parent's tenant, is found by it, and is the first of its runs as a workflow that was started is.
pub async fn a_child_is_found_by_its_parents_tenant_and_counts_its_runs_as_its_parent_does<E: WorkflowEnvironment>(
    scene: &Scene<E>,
) {
    scene.begin("a", Program::ChildThat { does: 1 }).await;
    scene.until_child_waits().await;
    let (parent, child) = (scene.look("a").await, scene.look("child").await);
    assert_eq!(child.summary.id.tenant(), parent.summary.id.tenant());
    assert_eq!(child.attempt, parent.attempt);
    let of_tenant = WorkflowFilter {
        tenant: Some(tenant()),
        ..WorkflowFilter::default()
    };
    let is_listed = async || {
        let page = scene.environment.querier().list(&of_tenant).await.expect("it answers");
        page.workflows.iter().any(|found| found.id == child.summary.id)
    };
    for _ in 0..100 {
        // A list may be behind.
        if is_listed().await {
            return;
        }
        scene.environment.moment().await;
    }
    panic!("the child is not listed");
}

/// A child that fails is a failed step of its parent, with the child's failure.
pub async fn a_child_that_fails_is_a_failed_step_of_its_parent<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.begin("a", Program::ChildThat { does: 0 }).await;
    assert_eq!(scene.failure("a").await, "scenario.failed");
}

/// A child whose id is taken is a failed step, and the workflow that has the id is left alone.
pub async fn a_child_whose_id_is_taken_is_a_failed_step<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.begin("child", Program::AwaitNote).await;
    scene.begin("a", Program::Child).await;
    assert_eq!(scene.failure("a").await, WorkflowFailure::CHILD_ALREADY_STARTED);
    assert_eq!(scene.status("child").await, WorkflowStatus::Running);
}

/// A child that its parent gives up is cancelled, and cleans up.
pub async fn a_child_that_is_given_up_is_cancelled_and_cleans_up<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.begin("a", Program::ChildAgainstTime).await;
    assert_eq!(scene.answer("a").await, json!("too late"));
    assert_eq!(scene.end("child").await, WorkflowEnd::Cancelled);
    assert_eq!(scene.world.jobs(), ["undo"]);
}

/// A child whose parent is cancelled is cancelled too.
pub async fn a_child_is_cancelled_with_its_parent<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.begin("a", Program::ChildThat { does: 1 }).await;
    scene.until_child_waits().await;
    scene.cancel("a").await;
    assert_eq!(scene.end("a").await, WorkflowEnd::Cancelled);
    assert_eq!(scene.end("child").await, WorkflowEnd::Cancelled);
    assert_eq!(scene.world.jobs(), ["undo"]);
}

/// A child whose parent is terminated is cancelled: it may clean up.
pub async fn a_child_whose_parent_is_terminated_is_cancelled<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.begin("a", Program::ChildThat { does: 1 }).await;
    scene.until_child_waits().await;
    scene.terminate("a").await;
    assert_eq!(scene.end("child").await, WorkflowEnd::Cancelled);
    assert_eq!(scene.world.jobs(), ["undo"]);
}

/// A child that somebody else ends is a failed step that says so.
pub async fn a_child_that_somebody_else_ends_is_a_failed_step<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.begin("a", Program::ChildThat { does: 1 }).await;
    scene.until_child_waits().await;
    scene.terminate("child").await;
    assert_eq!(scene.failure("a").await, WorkflowFailure::CHILD_TERMINATED);
}

impl<E: WorkflowEnvironment> Scene<E> {
    /// Returns once the child of `a` waits for its note.
    async fn until_child_waits(&self) {
        self.until_waiting("a", "child scenario").await;
        self.until_waiting("child", "signal note").await;
    }
}
