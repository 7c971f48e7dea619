//! What starting a workflow promises.

use aftercommit_domain::contract::Tenant;
use aftercommit_domain::workflows::{WorkflowStartError, WorkflowStatus};
use serde_json::json;

use super::WorkflowEnvironment;
use super::fixture::{Note, OnceEver, Program, Scenario, Scene};

/// A started workflow runs, and its answer can be read, with when it began and closed.
pub async fn a_started_workflow_runs_and_its_answer_can_be_read<E: WorkflowEnvironment>(scene: &Scene<E>) {
    let request = scene.to_start("a", &Scenario::of(Program::Answer, 41));
    let run = scene.start_as(request).await.expect("it starts");
    assert_eq!(scene.answer("a").await, json!(41));
    let description = scene.look("a").await;
    let summary = description.summary;
    assert_eq!((summary.run_id, summary.status), (run, WorkflowStatus::Completed));
    assert!(summary.closed_at >= Some(summary.started_at));
    assert_eq!(description.problem, None);
}

/// A workflow that fails says with which failure.
pub async fn a_workflow_that_fails_says_why<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.begin("a", Program::Fail).await;
    assert_eq!(scene.failure("a").await, "scenario.failed");
    assert_eq!(scene.status("a").await, WorkflowStatus::Failed);
}

/// While a workflow runs no other starts under its id, and the refusal names the run that has it.
pub async fn a_second_start_is_refused_while_the_first_runs_and_names_its_run<E: WorkflowEnvironment>(
    scene: &Scene<E>,
) {
    let first = scene.begin("a", Program::AwaitNote).await;
    let second = scene
        .start_as(scene.to_start("a", &Scenario::of(Program::Answer, 0)))
        .await;
    let id = scene.id("a");
    assert_eq!(second, Err(WorkflowStartError::AlreadyStarted { id, run_id: first }));
    scene.tell("a", &Note("go".into())).await;
    assert_eq!(scene.answer("a").await, json!("go"), "the first is as it was");
}

/// A closed workflow may be started again, as another run.
pub async fn a_closed_workflow_may_be_started_again_as_another_run<E: WorkflowEnvironment>(scene: &Scene<E>) {
    let first = scene.begin("a", Program::Fail).await;
    scene.end("a").await;
    let second = scene.begin("a", Program::Answer).await;
    assert_ne!(first, second);
    scene
        .until("a", "the second ends", |description| {
            description.summary.run_id == second && description.end.is_some()
        })
        .await;
    assert_eq!(scene.answer("a").await, json!(0));
}

/// A workflow whose contract says so runs once ever under an id.
pub async fn a_workflow_that_runs_once_ever_is_never_started_again<E: WorkflowEnvironment>(scene: &Scene<E>) {
    let input = OnceEver {
        organization_id: 7.into(),
        project_id: 8.into(),
    };
    let request = scene.to_start("a", &input);
    let id = request.id.clone();
    let first = scene.start_as(request).await.expect("it starts");
    while scene.look_at(&id).await.end.is_none() {
        scene.environment.moment().await;
    }
    let again = scene.start_as(scene.to_start("a", &input)).await;
    assert_eq!(again, Err(WorkflowStartError::AlreadyStarted { id, run_id: first }));
}

/// The same request again starts nothing and answers the same run: while it runs, and when it has closed.
pub async fn the_same_start_again_starts_nothing_and_answers_the_same_run<E: WorkflowEnvironment>(scene: &Scene<E>) {
    let request = scene.to_start("a", &Scenario::of(Program::AwaitNote, 0));
    let first = scene.start_as(request.clone()).await;
    assert!(first.is_ok());
    assert_eq!(scene.start_as(request.clone()).await, first);
    scene.tell("a", &Note("go".into())).await;
    scene.end("a").await;
    assert_eq!(scene.start_as(request).await, first);
    assert_eq!(scene.status("a").await, WorkflowStatus::Completed);
}

/// The same key of another tenant is another workflow, and so is another key.
pub async fn the_same_key_of_another_tenant_is_another_workflow<E: WorkflowEnvironment>(scene: &Scene<E>) {
    let of = |project: i64, number| Scenario {
        project_id: project.into(),
        ..Scenario::of(Program::Answer, number)
    };
    for (project, key, number) in [(8, "a", 1), (99, "a", 2), (8, "b", 3)] {
        let started = scene.start_as(scene.to_start(key, &of(project, number))).await;
        assert!(started.is_ok(), "{started:?}");
    }
    scene.end("a").await;
    scene.end("b").await;
    let other = scene.id_of(Tenant::project(7_i64, 99_i64), "a");
    let runs = [
        scene.look("a").await,
        scene.look("b").await,
        scene.look_at(&other).await,
    ]
    .map(|description| description.summary.run_id);
    assert!(runs[0] != runs[1] && runs[1] != runs[2] && runs[0] != runs[2]);
}
