//! What timers and signals promise.

use aftercommit_domain::time::seconds;
use aftercommit_domain::workflows::WorkflowStatus;
use serde_json::json;

use super::WorkflowEnvironment;
use super::fixture::{Note, Other, Program, Scenario, Scene};

fn note(text: &str) -> Note {
    Note(text.into())
}

/// A timer fires when its time has come, and not before; the workflow sees that the time has passed.
pub async fn a_timer_fires_at_its_time_and_not_before<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.begin("a", Program::Sleep { seconds: 2 }).await;
    scene.until_waiting("a", "sleep").await;
    scene.pass(seconds(1)).await;
    assert_eq!(scene.status("a").await, WorkflowStatus::Running);
    let answer = scene.answer("a").await;
    assert!(answer.as_i64() >= Some(2000), "{answer}");
}

/// A timer that lost a race holds up nothing.
pub async fn a_timer_that_is_given_up_holds_up_nothing<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.begin("a", Program::SleepTwice).await;
    assert_eq!(scene.answer("a").await, json!(1));
}

/// A timer of no time fires, and one of all time waits.
pub async fn a_timer_of_no_time_fires_and_one_of_all_time_waits<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.begin("a", Program::SleepAnyTime).await;
    assert_eq!(scene.answer("a").await, json!(1));
}

/// Signals are kept from the start of the run, and taken by name in the order in which they came.
pub async fn signals_are_kept_until_they_are_taken_in_the_order_they_came<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.begin("a", Program::TakeNotes).await;
    scene.tell("a", &note("one")).await;
    scene.tell("a", &note("two")).await;
    scene.tell("a", &Other(9)).await;
    scene.tell("a", &note("three")).await;
    assert_eq!(scene.answer("a").await, json!(["one", 9, "two", "three"]));
}

/// A wait that lost a race takes no signal: the next wait gets it.
pub async fn a_wait_that_is_given_up_takes_no_signal<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.begin("a", Program::AwaitNoteTwice).await;
    // In vain for a second; then it waits alone.
    scene.until_waiting("a", "signal note").await;
    scene.tell("a", &note("late")).await;
    assert_eq!(scene.answer("a").await, json!([true, "late"]));
}

/// A wait that has begun and is not awaited any more takes no signal from the one that is.
pub async fn a_wait_that_is_kept_and_not_awaited_takes_no_signal<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.begin("a", Program::KeepAWait).await;
    scene
        .until("a", "it waits twice", |description| description.waiting.len() == 2)
        .await;
    scene.tell("a", &note("one")).await;
    assert_eq!(scene.answer("a").await, json!([true, "one"]));
}

/// The same request again tells nothing new.
pub async fn the_same_signal_again_tells_nothing_new<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.begin("a", Program::TakeNotes).await;
    let request = scene.to_tell("a", &note("one"));
    for _ in 0..3 {
        scene.told(request.clone()).await.expect("it is told");
    }
    scene.tell("a", &Other(9)).await;
    scene.tell("a", &note("two")).await;
    scene.tell("a", &note("three")).await;
    assert_eq!(scene.answer("a").await, json!(["one", 9, "two", "three"]));
}

/// A workflow that does not run is told nothing: neither one that never did, nor one that has closed, which is said to be over.
pub async fn a_signal_to_a_workflow_that_does_not_run_is_refused<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.begin("closed", Program::Answer).await;
    scene.end("closed").await;
    for key in ["closed", "never"] {
        let told = scene.told(scene.to_tell(key, &note("hello"))).await;
        assert_eq!(told, Err(scene.not_open(key).await));
    }
}

/// A signal with a start starts what does not run, and tells what does; the same one again does neither.
pub async fn a_signal_with_start_starts_what_does_not_run_and_tells_what_does<E: WorkflowEnvironment>(
    scene: &Scene<E>,
) {
    let starter = scene.environment.starter();
    let mut runs = Vec::new();
    for text in ["one", "two"] {
        let start = scene.to_start("a", &Scenario::of(Program::TakeNotes, 0));
        let signal = aftercommit_domain::workflows::SignalRequest {
            request_id: start.request_id(),
            ..scene.to_tell("a", &note(text))
        };
        for _ in 0..2 {
            let told = starter.signal_with_start(start.clone(), signal.clone()).await;
            runs.push(told.expect("it is told"));
        }
    }
    assert!(runs.iter().all(|run| *run == runs[0]), "{runs:?}");
    scene.tell("a", &Other(9)).await;
    scene.tell("a", &note("three")).await;
    assert_eq!(scene.answer("a").await, json!(["one", 9, "two", "three"]));
}

/// A signal with a start that comes again starts nothing, although the workflow went on as a new run since, and closed.
pub async fn a_signal_with_start_is_known_again_after_its_workflow_went_on_and_closed<E: WorkflowEnvironment>(
    scene: &Scene<E>,
) {
    scene.begin("a", Program::GoOnAsNew).await;
    let start = scene.to_start("a", &Scenario::of(Program::GoOnAsNew, 0));
    let signal = aftercommit_domain::workflows::SignalRequest {
        request_id: start.request_id(),
        ..scene.to_tell("a", &Other(1))
    };
    let starter = scene.environment.starter();
    let told = starter.signal_with_start(start.clone(), signal.clone()).await;
    told.expect("it is told");
    scene.tell("a", &note("the end")).await;
    assert_eq!(scene.answer("a").await, json!("the end"));
    let closed = scene.look("a").await.summary.run_id;
    let again = starter.signal_with_start(start, signal).await;
    again.expect("it was told");
    assert_eq!(scene.look("a").await.summary.run_id, closed, "nothing began");
}
