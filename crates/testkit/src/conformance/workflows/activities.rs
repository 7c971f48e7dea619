//! What activities promise.

use aftercommit_domain::time::seconds;
use aftercommit_domain::workflows::{WorkflowEnd, WorkflowFailure};
use serde_json::json;

use super::WorkflowEnvironment;
use super::fixture::{Behaviour, Program, Scene};

const fn work(attempts: u32) -> Program {
    Program::Work {
        attempts,
        start_to_close: 60,
        schedule_to_close: None,
        heartbeat: None,
    }
}

fn attempts<E: WorkflowEnvironment>(scene: &Scene<E>) -> Vec<u32> {
    scene.world.acts().iter().map(|act| act.attempt).collect()
}

/// An activity that fails is tried again, each attempt with its number, until it succeeds.
pub async fn an_activity_that_fails_is_tried_again_until_it_succeeds<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.world.script("job", [Behaviour::Fail; 2]);
    scene.begin("a", work(5)).await;
    assert_eq!(scene.answer("a").await, json!("job done"));
    assert_eq!(attempts(scene), [1, 2, 3]);
}

/// After its last attempt the activity has failed, with the last failure.
pub async fn an_activity_that_fails_at_its_last_attempt_is_a_failed_step<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.world.script("job", [Behaviour::Fail; 9]);
    scene.begin("a", work(2)).await;
    assert_eq!(scene.failure("a").await, "job.failed");
    assert_eq!(attempts(scene), [1, 2]);
}

/// A failure that is not retryable ends the attempts at once, and arrives with its facts.
pub async fn a_failure_that_is_not_retryable_ends_the_attempts_at_once<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.world.script("job", [Behaviour::FailForGood]);
    scene.begin("a", work(5)).await;
    let expected = WorkflowFailure::permanent("job.refused", "never").with_details(json!({ "job": "job" }));
    assert_eq!(scene.end("a").await, WorkflowEnd::Failed(expected));
    assert_eq!(attempts(scene), [1]);
}

/// A panic of an activity is a failed attempt like any other.
pub async fn a_panic_of_an_activity_is_a_failed_attempt<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.world.script("job", [Behaviour::Panic]);
    scene.begin("a", work(2)).await;
    assert_eq!(scene.answer("a").await, json!("job done"));
    assert_eq!(attempts(scene), [1, 2]);
}

/// An attempt that takes longer than it may is given up, and the next one begins.
pub async fn an_attempt_that_takes_too_long_is_given_up_and_tried_again<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.world.script("job", [Behaviour::Hang]);
    let program = Program::Work {
        attempts: 2,
        start_to_close: 1,
        schedule_to_close: None,
        heartbeat: None,
    };
    scene.begin("a", program).await;
    assert_eq!(scene.answer("a").await, json!("job done"));
    assert_eq!(attempts(scene), [1, 2]);
}

/// An activity whose attempts all take too long has failed as timed out.
pub async fn an_activity_that_never_ends_has_failed_as_timed_out<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.world.script("job", [Behaviour::Hang]);
    let program = Program::Work {
        attempts: 1,
        start_to_close: 1,
        schedule_to_close: None,
        heartbeat: None,
    };
    scene.begin("a", program).await;
    assert_eq!(scene.failure("a").await, WorkflowFailure::TIMED_OUT);
}

/// An activity that is not done in its whole time has failed, whatever attempts it has left.
pub async fn an_activity_that_is_not_done_in_its_whole_time_has_failed<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.world.script("job", [Behaviour::Hang; 9]);
    let program = Program::Work {
        attempts: 9,
        start_to_close: 60,
        schedule_to_close: Some(1),
        heartbeat: None,
    };
    scene.begin("a", program).await;
    assert_eq!(scene.failure("a").await, WorkflowFailure::EXPIRED);
    assert_eq!(attempts(scene), [1]);
}

/// An attempt that falls silent is given up, and the next one begins where it had come to.
pub async fn an_attempt_that_falls_silent_is_given_up_and_the_next_begins_at_its_cursor<E: WorkflowEnvironment>(
    scene: &Scene<E>,
) {
    scene.world.script("job", [Behaviour::HangAfter(7)]);
    let program = Program::Work {
        attempts: 2,
        start_to_close: 3600,
        schedule_to_close: None,
        heartbeat: Some(1),
    };
    scene.begin("a", program).await;
    assert_eq!(scene.answer("a").await, json!("job done"));
    let cursors: Vec<_> = scene.world.acts().iter().map(|act| act.cursor).collect();
    assert_eq!(cursors, [None, Some(7)]);
}

/// Every attempt of an activity has the same idempotency key; another activity has another, and so has another run.
pub async fn attempts_share_an_idempotency_key_and_activities_and_runs_do_not<E: WorkflowEnvironment>(
    scene: &Scene<E>,
) {
    scene.world.script("first", [Behaviour::Fail]);
    for _ in 0..2 {
        let run = scene.begin("a", Program::WorkTwice).await;
        scene
            .until("a", "it ends", |description| {
                description.summary.run_id == run && description.end.is_some()
            })
            .await;
    }
    let keys: Vec<_> = scene.world.acts().into_iter().map(|act| act.key).collect();
    let [first, again, second, of_next_run, last] = keys.as_slice() else {
        panic!("five attempts: {keys:?}")
    };
    assert_eq!(first, again);
    let different: std::collections::HashSet<_> = [first, second, of_next_run, last].into();
    assert_eq!(different.len(), 4);
}

/// Forty activities at once are all done, and answer in the order in which they were asked for.
pub async fn forty_activities_at_once_answer_in_their_order<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.world.script("job-3", [Behaviour::Fail]);
    scene.begin("a", Program::WorkForty).await;
    let expected: Vec<_> = (0..40).map(|number| format!("job-{number} done")).collect();
    assert_eq!(scene.answer("a").await, json!(expected));
    assert_eq!(scene.world.acts().len(), 41);
}

/// An activity that its workflow gives up is told to end, and holds up nothing.
pub async fn an_activity_that_is_given_up_is_told_to_end<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.world.script("job", [Behaviour::UntilCancelled]);
    scene.begin("a", Program::WorkAgainstTime).await;
    assert_eq!(scene.answer("a").await, json!("too late"));
    scene
        .until_world("the job was told to end", |world| world.ended() == ["job"])
        .await;
    scene.pass(seconds(2)).await;
    assert_eq!(attempts(scene), [1], "it is not tried again");
}
