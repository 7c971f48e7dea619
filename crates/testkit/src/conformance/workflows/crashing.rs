//! What is so whatever happens to the processes, and to the code.

use aftercommit_domain::time::seconds;
use aftercommit_domain::workflows::WorkflowStatus;
use serde_json::json;

use super::WorkflowEnvironment;
use super::fixture::{Note, Program, Scene};

/// A workflow goes on where it stood after its worker died, wherever it waited; what it had done is not done again, and what
/// it drew is the same.
pub async fn a_workflow_goes_on_where_it_stood_after_its_worker_died<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.begin("a", Program::Journey).await;
    scene.until_waiting("a", "sleep").await;
    let drawn = scene.query("a", "drawn").await;
    scene.environment.crash().await;
    scene.until_waiting("a", "signal note").await;
    scene.environment.crash().await;
    assert_eq!(scene.query("a", "drawn").await, drawn);
    scene.tell("a", &Note("go".into())).await;
    let answer = scene.answer("a").await;
    assert_eq!(answer["steps"], json!(["first done", "go", "second done"]));
    assert_eq!(Some(&answer["drawn"]), drawn.as_ref());
    assert_eq!(scene.world.jobs(), ["first", "second"]);
}

/// A signal that came while no worker was there is not lost.
pub async fn a_signal_that_comes_around_a_crash_is_not_lost<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.begin("a", Program::TakeNotes).await;
    scene.tell("a", &Note("one".into())).await;
    scene.environment.crash().await;
    scene.tell("a", &super::fixture::Other(9)).await;
    scene.tell("a", &Note("two".into())).await;
    scene.environment.crash().await;
    scene.tell("a", &Note("three".into())).await;
    assert_eq!(scene.answer("a").await, json!(["one", 9, "two", "three"]));
}

/// The winner of a race is the same when the run is run again.
pub async fn the_winner_of_a_race_is_the_same_after_a_crash<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.begin("a", Program::AwaitNoteTwice).await;
    scene.until_waiting("a", "signal note").await;
    scene.tell("a", &Note("late".into())).await;
    scene.environment.crash().await;
    assert_eq!(scene.answer("a").await, json!([true, "late"]));
}

/// A run that began before a change of its code keeps the old way; one that begins after it takes the new one, also when it is
/// run again.
pub async fn a_run_that_began_before_a_change_keeps_the_old_way<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.begin("old", Program::Changed).await;
    scene.until_waiting("old", "signal note").await;
    scene.deploy_second_build().await;
    scene.begin("new", Program::Changed).await;
    scene.until_waiting("new", "signal note").await;
    scene.environment.crash().await;
    for (key, is_new) in [("old", false), ("new", true)] {
        scene.tell(key, &Note("go".into())).await;
        assert_eq!(scene.answer(key).await, json!(["go", is_new]));
    }
    assert_eq!(scene.world.jobs(), ["old", "new"]);
}

/// A workflow that waits for anything but its steps is shown as stuck at once, and a build without the mistake takes it up.
pub async fn a_workflow_that_awaits_a_foreign_thing_is_stuck_until_it_is_mended<E: WorkflowEnvironment>(
    scene: &Scene<E>,
) {
    stuck_until_mended(scene, Program::Foreign, "workflow.foreign_await").await;
}

/// A workflow that panics is shown as stuck, and a build without the mistake takes it up.
pub async fn a_workflow_that_panics_is_stuck_until_it_is_mended<E: WorkflowEnvironment>(scene: &Scene<E>) {
    stuck_until_mended(scene, Program::Panic, "workflow.panicked").await;
}

async fn stuck_until_mended<E: WorkflowEnvironment>(scene: &Scene<E>, program: Program, code: &str) {
    scene.begin("a", program).await;
    let has_problem = |description: &aftercommit_domain::workflows::WorkflowDescription| {
        description.problem.as_ref().is_some_and(|problem| problem.code == code)
    };
    let stuck = scene.until("a", "it is stuck", has_problem).await;
    assert_eq!(stuck.summary.status, WorkflowStatus::Running);
    scene.deploy_second_build().await;
    assert_eq!(scene.answer("a").await, json!("mended"));
    assert_eq!(scene.look("a").await.problem, None);
}

/// A build whose code takes another way than the recorded one is found out; the build before it goes on.
pub async fn a_build_that_takes_another_way_is_found_out<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.begin("a", Program::OtherWay).await;
    scene.until_waiting("a", "signal note").await;
    scene.deploy_second_build().await;
    scene.tell("a", &Note("go".into())).await;
    let found_out = |description: &aftercommit_domain::workflows::WorkflowDescription| {
        let problem = description.problem.as_ref();
        problem.is_some_and(|problem| problem.code == "workflow.nondeterministic")
    };
    scene.until("a", "it is found out", found_out).await;
    scene.pass(seconds(1)).await;
    assert_eq!(scene.status("a").await, WorkflowStatus::Running);
    assert_eq!(scene.world.jobs(), ["first"]);
}
