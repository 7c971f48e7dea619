use aftercommit_domain::failure::Classified;
use aftercommit_domain::time::seconds;
use aftercommit_domain::workflows::{RunInfo, RunProgress, WorkflowProblem, WorkflowRegistry, WorkflowRun};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use crate::host::{Host, Rig, codec, info};

fn code_of(progress: &RunProgress) -> &'static str {
    match progress {
        RunProgress::Stuck(problem) => problem.code(),
        RunProgress::Waiting | RunProgress::Ended(_) => "none",
    }
}

#[test]
fn a_workflow_that_awaits_anything_but_its_context_is_stuck_at_once() {
    let mut alone = Rig::new(|_| Box::pin(std::future::pending()));
    assert_eq!(code_of(&alone.poll()), "workflow.foreign_await");
    // While a step is still awaited beside it, the workflow can go on; afterwards nothing would ever wake it.
    let mut beside = Rig::new(|ctx| {
        Box::pin(async move {
            let slept: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin({
                let step = ctx.sleep(seconds(1));
                async move { drop(step.await) }
            });
            ctx.join_all([slept, Box::pin(std::future::pending())]).await;
            Ok(Value::Null)
        })
    });
    assert_eq!(beside.poll(), RunProgress::Waiting);
    assert_eq!(code_of(&beside.answered(1, Ok(Value::Null))), "workflow.foreign_await");
}

#[test]
fn a_foreign_thing_that_would_wake_the_workflow_is_found_beside_a_step() {
    let kept = Arc::new(Mutex::new(None));
    let keeps = Arc::clone(&kept);
    let mut rig = Rig::new(move |ctx| {
        let keeps = Arc::clone(&keeps);
        Box::pin(async move {
            let foreign = std::future::poll_fn(|cx| {
                *keeps.lock().unwrap() = Some(cx.waker().clone());
                Poll::<()>::Pending
            });
            ctx.either(ctx.sleep(seconds(1)), foreign).await;
            Ok(Value::Null)
        })
    });
    assert_eq!(code_of(&rig.poll()), "workflow.foreign_await");
    assert!(kept.lock().unwrap().is_some());
}

#[test]
fn a_foreign_thing_that_wakes_the_workflow_at_once_is_found_and_one_that_is_ready_is_none() {
    let mut yields = Rig::new(|ctx| {
        Box::pin(async move {
            let again = std::future::poll_fn(|cx| {
                cx.waker().wake_by_ref();
                Poll::<()>::Pending
            });
            ctx.either(ctx.sleep(seconds(1)), again).await;
            Ok(Value::Null)
        })
    });
    assert_eq!(code_of(&yields.poll()), "workflow.foreign_await");
    let mut ready = Rig::new(|ctx| {
        Box::pin(async move {
            std::future::poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
            ctx.sleep(seconds(1)).await?;
            Ok(Value::Null)
        })
    });
    assert_eq!(ready.poll(), RunProgress::Waiting);
}

#[test]
fn a_step_that_began_does_not_hide_that_something_else_is_awaited() {
    let mut rig = Rig::new(|ctx| {
        Box::pin(async move {
            let mut step = Box::pin(ctx.sleep(seconds(1)));
            std::future::poll_fn(|cx| {
                assert!(step.as_mut().poll(cx).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
            ctx.wait_signal_of_nothing().await;
            Ok(Value::Null)
        })
    });
    assert_eq!(
        rig.poll(),
        RunProgress::Waiting,
        "the step was awaited in this very poll"
    );
    assert_eq!(code_of(&rig.poll()), "workflow.foreign_await");
}

/// Something that is no step.
trait Foreign {
    async fn wait_signal_of_nothing(&self);
}

impl<T: Sync> Foreign for T {
    async fn wait_signal_of_nothing(&self) {
        std::future::pending::<()>().await;
    }
}

#[test]
fn a_workflow_that_panics_is_stuck_and_says_with_which_words() {
    let mut rig = Rig::new(|_| Box::pin(async { panic!("no such invoice") }));
    let RunProgress::Stuck(WorkflowProblem::Panicked { message }) = rig.poll() else {
        panic!("it is stuck")
    };
    assert_eq!(message, "no such invoice");
}

#[test]
fn a_workflow_that_takes_another_way_than_the_recorded_one_is_stuck_whatever_its_code_makes_of_it() {
    let host: Arc<Host> = Arc::default();
    host.record(1, "activity charge");
    let mut rig = Rig::on(host, |ctx| {
        Box::pin(async move {
            let step = ctx.sleep(seconds(1));
            // Even a race that another branch would win does not hide it.
            ctx.either(step, std::future::ready(())).await;
            Ok(json!("done"))
        })
    });
    let RunProgress::Stuck(problem) = rig.poll() else {
        panic!("it is stuck")
    };
    assert_eq!(problem.code(), "workflow.nondeterministic");
    assert!(
        problem
            .to_string()
            .contains("step 1 was `activity charge` and is now `sleep`"),
        "{problem}"
    );
}

#[test]
fn a_step_that_is_awaited_after_it_answered_makes_its_workflow_stuck() {
    let mut rig = Rig::new(|ctx| {
        Box::pin(async move {
            let mut step = ctx.sleep(seconds(1));
            (&mut step).await?;
            step.await?;
            Ok(Value::Null)
        })
    });
    assert_eq!(rig.poll(), RunProgress::Waiting);
    assert_eq!(code_of(&rig.answered(1, Ok(Value::Null))), "workflow.awaited_twice");
}

#[test]
fn a_workflow_that_is_not_known_or_whose_input_is_newer_does_not_begin() {
    let begin = |registry: &WorkflowRegistry, info: RunInfo| {
        WorkflowRun::new(registry, info, Rig::new(|_| Box::pin(std::future::pending())).port()).err()
    };
    let empty = WorkflowRegistry::new(codec());
    assert_eq!(
        begin(&empty, info()).map(|problem| problem.code()),
        Some("workflow.unknown")
    );
    let known = Rig::registry(|_| Box::pin(std::future::pending()));
    let mut newer = info();
    newer.input.version = 2;
    assert_eq!(
        begin(&known, newer).map(|problem| problem.code()),
        Some("workflow.unreadable")
    );
    assert_eq!(begin(&known, info()), None);
}
