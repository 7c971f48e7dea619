//! Servers and workers that end while workflows run.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aftercommit_domain::workflows::WorkflowEnd;
use aftercommit_platform_workflows_temporal::WorkerHealth;
use aftercommit_testkit::temporal_server::{TemporalOptions, TemporalServer};

use crate::environment::Environment;
use crate::workflows::{Counting, GoOn, Lingering, Script, Scripted, ScriptedWorkflow};

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_goes_on_when_its_server_was_killed_and_is_back() {
    let server = TemporalServer::start(TemporalOptions::default().durable()).await;
    let environment = Environment::on(server.clone());
    let counting = Counting::default();
    let registry = environment
        .registry()
        .with_workflow(ScriptedWorkflow::default())
        .unwrap();
    let worker = environment
        .worker(registry.with_activity(counting.clone()).unwrap())
        .await;
    let (id, _) = environment.start("it", &Scripted::new(Script::CountWhenTold)).await;
    environment
        .described(&id, |it| it.waiting.iter().any(|step| step.label == "signal go-on"))
        .await;
    server.kill().await;
    server.start_again().await;
    environment.signal(&id, &GoOn).await;
    assert_eq!(environment.ended(&id).await.end, Some(WorkflowEnd::Completed(3.into())));
    assert_eq!(counting.calls.load(Ordering::SeqCst), 2);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_worker_tells_its_activities_and_another_does_what_was_left() {
    let environment = Environment::shared().await;
    let lingering = Lingering::default();
    let registry = || {
        let registry = environment
            .registry()
            .with_workflow(ScriptedWorkflow::default())
            .unwrap();
        registry.with_activity(lingering.clone()).unwrap()
    };
    let worker = environment.worker(registry()).await;
    let (id, _) = environment.start("it", &Scripted::new(Script::Linger)).await;
    while !lingering.has_begun.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let asked = Instant::now();
    worker.stop().await;
    // Its grace, and what those have left that take no notice.
    assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
    assert!(lingering.was_told.load(Ordering::SeqCst));
    let another = environment.worker(registry()).await;
    assert_eq!(environment.ended(&id).await.end, Some(WorkflowEnd::Completed(2.into())));
    assert_eq!(another.health(), WorkerHealth::Running);
    another.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_stops_at_once() {
    let environment = Environment::shared().await;
    let registry = environment
        .registry()
        .with_workflow(ScriptedWorkflow::default())
        .unwrap();
    let worker = environment.worker(registry).await;
    let asked = Instant::now();
    worker.stop().await;
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
}
