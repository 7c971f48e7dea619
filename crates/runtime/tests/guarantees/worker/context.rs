//! What a handler knows of its run.

use std::time::Duration;

use aftercommit_domain::contract::{Cause, CorrelationId, Tenant, TraceContext};
use aftercommit_domain::failure::{ErrorClass, Failure};
use aftercommit_domain::tasks::{Stop, TaskContext, TaskState, completed};

use crate::support::contracts::{Deliver, deliver, deliveries};
use crate::support::handlers::{Handler, Seen};
use crate::support::rig::Rig;

#[tokio::test(start_paused = true)]
async fn the_context_tells_whose_task_it_is_why_and_how_long_it_may_run() {
    let rig = Rig::new();
    let seen = Seen::nothing();
    let noted = seen.clone();
    let handler = Handler(move |_: Deliver, ctx: TaskContext| {
        noted.add((ctx.tenant().clone(), ctx.cause().clone(), ctx.deadline() - ctx.now()));
        assert!(!ctx.cancellation().is_cancelled());
        async { completed() }
    });
    let engine = rig.start_workers(vec![deliveries(handler)]);
    let trace = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None).unwrap();
    let mut task = rig.task(&deliver(1));
    task.cause = Cause {
        correlation: Some(CorrelationId::new("request-77").unwrap()),
        causation: Some(rig.envelopes.new_id()),
        trace: Some(trace.clone()),
    };
    let id = rig.enqueue_envelope(task).await;
    rig.until_state(id, TaskState::Completed).await;
    let expected = Cause {
        correlation: Some(CorrelationId::new("request-77").unwrap()),
        causation: Some(id),
        trace: Some(trace),
    };
    let minute = chrono::Duration::from_std(Duration::from_mins(1)).unwrap();
    assert_eq!(seen.all(), [(Tenant::project(1, 10), expected, minute)]);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_idempotency_key_is_the_same_in_every_attempt_and_the_attempt_is_counted() {
    let rig = Rig::new();
    let seen = Seen::nothing();
    let noted = seen.clone();
    let handler = Handler(move |_: Deliver, ctx: TaskContext| {
        noted.add((ctx.idempotency_key(), ctx.task_id(), ctx.attempt()));
        async move {
            if ctx.attempt() == 3 {
                return completed();
            }
            Err(Stop::Failed {
                failure: Failure::new("x", ErrorClass::Retryable, "not yet"),
                retry_after: None,
            })
        }
    });
    let engine = rig.start_workers(vec![deliveries(handler)]);
    let id = rig.enqueue(&deliver(1)).await;
    rig.until_state(id, TaskState::Completed).await;
    assert_eq!(seen.all(), [1, 2, 3].map(|attempt| (id.into(), id, attempt)));
    engine.stop().await;
}
