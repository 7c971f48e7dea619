use std::sync::atomic::Ordering;
use std::time::Duration;

use aftercommit_domain::contract::{ActivityName, SignalName};
use aftercommit_domain::time::{days, seconds};
use aftercommit_domain::workflows::{
    Activity, ActivityContext, ActivityError, ActivityOptions, Either, Exit, LONG_RUN, RunProgress, StepError,
    WorkflowContext, WorkflowEnd, WorkflowFailure, WorkflowSignal,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::host::{Code, Coded, Rig, Sample};

struct Charge;

#[async_trait::async_trait]
impl Activity for Charge {
    const NAME: ActivityName = ActivityName::constant("charge");
    type Input = i64;
    type Output = i64;

    async fn run(&self, input: i64, _: &ActivityContext) -> Result<i64, ActivityError> {
        Ok(input)
    }
}

struct Echo;

#[async_trait::async_trait]
impl Activity for Echo {
    const NAME: ActivityName = ActivityName::constant("echo");
    type Input = String;
    type Output = String;

    async fn run(&self, input: String, _: &ActivityContext) -> Result<String, ActivityError> {
        Ok(input)
    }
}

#[derive(Serialize, Deserialize)]
struct Note(String);

impl WorkflowSignal for Note {
    const NAME: SignalName = SignalName::constant("note");
}

fn ended(value: Value) -> RunProgress {
    RunProgress::Ended(Ok(value))
}

#[test]
fn a_steps_number_is_fixed_when_it_is_asked_for_and_it_begins_when_it_is_awaited() {
    let mut rig = Rig::new(|ctx| {
        Box::pin(async move {
            let never_awaited = ctx.sleep(seconds(1));
            let second = ctx.activity::<Charge>(&5, ActivityOptions::default());
            let third = ctx.wait_signal::<Note>();
            let Note(note) = third.await?;
            let charged = second.await?;
            drop(never_awaited);
            Ok(json!([note, charged]))
        })
    });
    assert_eq!(rig.poll(), RunProgress::Waiting);
    assert_eq!(*rig.host.begun.lock().unwrap(), [(3, "signal note".to_owned())]);
    assert_eq!(rig.answered(3, Ok(json!("hello"))), RunProgress::Waiting);
    assert_eq!(rig.host.begun_numbers(), [3, 2]);
    let waiting = rig.run.waiting();
    assert_eq!((waiting.len(), waiting[0].label.as_str()), (1, "activity charge"));
    assert_eq!(rig.answered(2, Ok(json!(5))), ended(json!(["hello", 5])));
    assert!(rig.host.cancelled().is_empty(), "what never began is not cancelled");
}

#[test]
fn the_loser_of_a_race_is_cancelled_and_the_first_in_order_wins_when_both_are_ready() {
    let mut rig = Rig::new(|ctx| {
        Box::pin(async move {
            let first = ctx.either(ctx.sleep(seconds(1)), ctx.wait_signal::<Note>()).await;
            assert!(matches!(first, Either::Second(Ok(_))));
            let (position, slept) = ctx.race([ctx.sleep(seconds(2)), ctx.sleep(seconds(3))]).await;
            slept?;
            Ok(json!(position))
        })
    });
    assert_eq!(rig.poll(), RunProgress::Waiting);
    rig.host.answer(4, Ok(Value::Null));
    rig.host.answer(3, Ok(Value::Null));
    assert_eq!(rig.answered(2, Ok(json!("now"))), ended(json!(0)));
    assert_eq!(rig.host.cancelled(), [1], "the fourth was never begun");
}

#[test]
fn a_sleep_of_no_time_or_of_all_time_is_one_that_every_engine_can_count() {
    let mut rig = Rig::new(|ctx| {
        Box::pin(async move {
            let sleeps = [Duration::ZERO, seconds(1), Duration::MAX].map(|time| ctx.sleep(time));
            ctx.join_all(sleeps).await;
            Ok(json!(null))
        })
    });
    assert_eq!(rig.poll(), RunProgress::Waiting);
    let asked = [Duration::from_millis(1), seconds(1), days(3653)];
    assert_eq!(*rig.host.sleeps.lock().unwrap(), asked);
}

#[test]
fn all_of_a_join_are_awaited_at_once_and_answer_in_their_order() {
    let mut rig = Rig::new(|ctx| {
        Box::pin(async move {
            let steps = (0..40).map(|n| ctx.activity::<Charge>(&n, ActivityOptions::default()));
            let answers: Result<Vec<i64>, StepError> = ctx.join_all(steps).await.into_iter().collect();
            Ok(json!(answers?))
        })
    });
    assert_eq!(rig.poll(), RunProgress::Waiting);
    assert_eq!(rig.host.begun_numbers().len(), 40);
    for step in (2..=40).rev() {
        assert_eq!(rig.answered(step, Ok(json!(step))), RunProgress::Waiting);
    }
    let all: Vec<u64> = (1..=40).collect();
    assert_eq!(rig.answered(1, Ok(json!(1))), ended(json!(all)));
}

#[test]
fn a_cancellation_ends_what_waits_and_what_is_asked_afterwards_but_not_the_clean_up() {
    let mut rig = Rig::new(|ctx| {
        Box::pin(async move {
            let slept = ctx.sleep(seconds(9)).await;
            assert_eq!(slept, Err(StepError::Cancelled));
            let charged = ctx.activity::<Charge>(&1, ActivityOptions::default()).await;
            assert_eq!(charged, Err(StepError::Cancelled));
            let undo = ctx.detached().activity::<Charge>(&-1, ActivityOptions::default());
            ctx.publish("undone", &undo.await?)?;
            Err(Exit::Cancelled)
        })
    });
    assert_eq!(rig.poll(), RunProgress::Waiting);
    rig.run.cancel();
    assert_eq!(rig.poll(), RunProgress::Waiting);
    assert_eq!((rig.host.begun_numbers(), rig.host.cancelled()), (vec![1, 3], vec![1]));
    assert_eq!(rig.answered(3, Ok(json!(-1))), RunProgress::Ended(Err(Exit::Cancelled)));
    assert_eq!(rig.run.published_value("undone"), Some(json!(-1)));
}

#[test]
fn a_workflow_may_wait_for_nothing_but_its_cancellation() {
    let mut rig = Rig::new(|ctx| {
        Box::pin(async move {
            ctx.cancelled().await;
            Ok(json!(ctx.is_cancelled()))
        })
    });
    assert_eq!(rig.poll(), RunProgress::Waiting);
    rig.run.cancel();
    assert_eq!(rig.poll(), ended(json!(true)));
}

#[test]
fn a_run_that_its_engine_drops_cancels_none_of_its_steps() {
    let mut rig = Rig::new(|ctx| {
        Box::pin(async move {
            let (_, slept) = ctx.race([ctx.sleep(seconds(1)), ctx.sleep(seconds(2))]).await;
            Ok(json!(slept?))
        })
    });
    assert_eq!(rig.poll(), RunProgress::Waiting);
    let Rig { host, run } = rig;
    drop(run);
    assert!(host.cancelled().is_empty());
}

#[test]
fn random_numbers_and_ids_are_the_same_whenever_the_run_is_run_again() {
    let draw = || {
        let mut rig =
            Rig::new(|ctx| Box::pin(async move { Ok(json!([ctx.random(), ctx.random(), ctx.uuid(), ctx.uuid()])) }));
        rig.poll()
    };
    assert_eq!(draw(), draw());
    let RunProgress::Ended(Ok(drawn)) = draw() else {
        panic!("it ends")
    };
    assert_ne!((&drawn[0], &drawn[2]), (&drawn[1], &drawn[3]));
}

#[test]
fn a_change_is_asked_for_once_in_each_run() {
    let mut rig =
        Rig::new(|ctx| Box::pin(async move { Ok(json!([ctx.patched("a-change"), ctx.patched("a-change")])) }));
    assert_eq!(rig.poll(), ended(json!([true, true])));
    assert_eq!(*rig.host.patched.lock().unwrap(), ["a-change"]);
}

#[test]
fn a_child_or_a_next_run_of_another_tenant_is_refused() {
    let mut rig = Rig::new(|ctx| {
        Box::pin(async move {
            let child = ctx.child::<Coded<fn(WorkflowContext) -> Code>>("x", &Sample::of_project(99));
            let Err(StepError::Failed(failure)) = child.await else {
                panic!("it is refused")
            };
            assert_eq!(failure.kind, "tenant.mismatch");
            Err(ctx.continue_as_new(&Sample::of_project(99)))
        })
    });
    let RunProgress::Ended(Err(Exit::Failed(failure))) = rig.poll() else {
        panic!("it fails")
    };
    assert_eq!(failure.kind, "tenant.mismatch");
    assert!(rig.host.begun_numbers().is_empty());
}

#[test]
fn what_is_published_is_bounded_in_number_and_size() {
    let mut rig = Rig::new(|ctx| {
        Box::pin(async move {
            for n in 0..64 {
                ctx.publish(&format!("key-{n}"), &n)?;
            }
            ctx.publish("key-0", "again")?;
            let refused = |result: Result<(), WorkflowFailure>| result.unwrap_err().kind.into_owned();
            Ok(json!([
                refused(ctx.publish("one-more", &1)),
                refused(ctx.publish("", &1)),
                refused(ctx.publish("key-1", &"x".repeat(300_000))),
            ]))
        })
    });
    assert_eq!(
        rig.poll(),
        ended(json!(["publish.refused", "publish.refused", "payload.too_large"]))
    );
    assert_eq!(rig.run.published().len(), 64);
}

#[test]
fn an_answer_that_is_not_what_its_type_says_is_a_failed_step() {
    let mut rig = Rig::new(|ctx| {
        Box::pin(async move { Ok(json!(ctx.activity::<Charge>(&1, ActivityOptions::default()).await?)) })
    });
    assert_eq!(rig.poll(), RunProgress::Waiting);
    let RunProgress::Ended(Err(Exit::Failed(failure))) = rig.answered(1, Ok(json!("much"))) else {
        panic!("it fails")
    };
    assert_eq!(
        (failure.kind.as_ref(), failure.retryable),
        (WorkflowFailure::MALFORMED, false)
    );
    assert_eq!(failure.message, "it is no i64", "what it was is in no failure");
}

#[test]
fn what_workflows_are_given_and_answer_is_in_no_log() {
    let private = || json!("private");
    let failure = WorkflowFailure::permanent("card.declined", "no").with_details(private());
    assert_eq!(failure.details, Some(private()));
    for shown in [
        format!("{:?}", ended(private())),
        format!("{:?}", RunProgress::Ended(Err(Exit::Failed(failure.clone())))),
        format!("{:?}", WorkflowEnd::Completed(private())),
        format!("{:?}", WorkflowEnd::Failed(failure)),
    ] {
        assert!(!shown.contains("private"), "{shown}");
    }
}

#[test]
fn details_of_a_failure_that_no_engine_could_keep_are_left_out_and_say_so() {
    let failure = || WorkflowFailure::permanent("card.declined", "no");
    let long = failure().with_details(json!("x".repeat(8 * 1024)));
    assert_eq!(long.details, Some(json!({ "left_out": "payload.too_large" })));
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    assert_eq!(
        failure().with_details(deep).details,
        Some(json!({ "left_out": "json.too_deep" }))
    );
}

#[test]
fn a_run_is_told_when_it_has_become_long() {
    let mut rig = Rig::new(|ctx| {
        Box::pin(async move {
            let before = ctx.should_continue_as_new();
            for _ in 0..LONG_RUN {
                drop(ctx.sleep(seconds(1)));
            }
            Ok(json!([before, ctx.should_continue_as_new()]))
        })
    });
    assert_eq!(rig.poll(), ended(json!([false, true])));
}

#[test]
fn a_run_of_few_steps_is_told_that_it_has_become_long_when_its_engine_says_so() {
    let mut rig = Rig::new(|ctx| {
        Box::pin(async move {
            let before = ctx.should_continue_as_new();
            ctx.sleep(seconds(1)).await?;
            Ok(json!([before, ctx.should_continue_as_new()]))
        })
    });
    assert_eq!(rig.poll(), RunProgress::Waiting);
    rig.host.is_long.store(true, Ordering::SeqCst);
    assert_eq!(rig.answered(1, Ok(Value::Null)), ended(json!([false, true])));
}

#[test]
fn what_is_too_large_for_a_history_says_what_it_is_and_what_to_do() {
    let mut rig = Rig::new(|ctx| {
        Box::pin(async move {
            let large = "x".repeat(300_000);
            let input = ctx.activity::<Echo>(&large, ActivityOptions::default()).await;
            let Err(StepError::Failed(failure)) = input else {
                panic!("it is too large")
            };
            assert!(!failure.retryable);
            ctx.publish("why", &failure.message)?;
            Ok(json!(large))
        })
    });
    let RunProgress::Ended(Err(Exit::Failed(failure))) = rig.poll() else {
        panic!("its answer is too large")
    };
    assert!(rig.host.begun_numbers().is_empty(), "no engine was asked");
    let limit = "the payload has 300002 bytes, at most 262144 are allowed; store the content and send its key";
    let input = format!("the input of the activity echo: {limit}");
    assert_eq!(rig.run.published()["why"], json!(input));
    let answer = format!("the answer of the workflow sample: {limit}");
    assert_eq!((&*failure.kind, &*failure.message), ("payload.too_large", &*answer));
}
