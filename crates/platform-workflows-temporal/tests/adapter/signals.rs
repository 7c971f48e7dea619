//! What workflows are told, and when.

use aftercommit_domain::workflows::{WorkflowEnd, WorkflowStarter};

use crate::environment::{Environment, signal_request};
use crate::workflows::{GoOn, Script, Scripted, ScriptedWorkflow};

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_arrives_again_after_its_workflow_continued_as_new_tells_nothing_new() {
    let environment = Environment::shared().await;
    let registry = environment
        .registry()
        .with_workflow(ScriptedWorkflow::default())
        .unwrap();
    let worker = environment.worker(registry).await;
    let (id, _) = environment.start("it", &Scripted::new(Script::CountSignalsAsNew)).await;
    let signal = signal_request(&id, &GoOn);
    environment.temporal.signal(signal.clone()).await.unwrap();
    environment.described(&id, |it| it.attempt == Some(2)).await;
    environment.temporal.signal(signal).await.unwrap();
    environment.signal(&id, &GoOn).await;
    assert_eq!(environment.ended(&id).await.end, Some(WorkflowEnd::Completed(1.into())));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_while_no_worker_was_there_is_told_one_thing_after_the_other() {
    let environment = Environment::shared().await;
    let registry = || {
        environment
            .registry()
            .with_workflow(ScriptedWorkflow::default())
            .unwrap()
    };
    let worker = environment.worker(registry()).await;
    let (id, _) = environment.start("it", &Scripted::new(Script::Race)).await;
    environment.described(&id, |it| it.waiting.len() == 2).await;
    worker.stop().await;
    environment.signal(&id, &GoOn).await;
    let text = id.to_string();
    while !environment
        .server
        .cli(&["workflow", "show", "--workflow-id", &text])
        .await
        .contains("TimerFired")
    {}
    // Both are there, and the timer would win if they were seen at once.
    let worker = environment.worker(registry()).await;
    assert_eq!(environment.ended(&id).await.end, Some(WorkflowEnd::Completed(2.into())));
    worker.stop().await;
}
