//! Servers and workers that end while workflows run.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aftercommit_domain::workflows::{WorkflowEnd, WorkflowRegistry};
use aftercommit_platform_workflows_temporal::{Temporal, TemporalConfig, WorkerHealth};
use aftercommit_testkit::temporal_server::{TemporalOptions, TemporalServer};
use aftercommit_testkit::test_services;
use tokio::process::{Child, Command};

use crate::environment::{Environment, SOON, WallClock};
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
    // A task that was on its way when the server died is given out again after its own ten seconds.
    let ended = environment.described_within(SOON * 4, &id, |it| it.end.is_some()).await;
    assert_eq!(ended.end, Some(WorkflowEnd::Completed(3.into())));
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

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_run_stays_in_the_memory_of_a_worker_that_stopped() {
    let environment = Environment::shared().await;
    let workflow = ScriptedWorkflow::default();
    let runs = workflow.runs.clone();
    let registry = environment.registry().with_workflow(workflow).unwrap();
    let worker = environment
        .worker(registry.with_activity(Counting::default()).unwrap())
        .await;
    let (ended, _) = environment.start("ended", &Scripted::new(Script::Count)).await;
    let (open, _) = environment.start("open", &Scripted::new(Script::CountWhenTold)).await;
    environment.ended(&ended).await;
    environment
        .described(&open, |it| it.waiting.iter().any(|step| step.label == "signal go-on"))
        .await;
    assert!(Arc::strong_count(&runs) > 2);
    worker.stop().await;
    assert_eq!(Arc::strong_count(&runs), 1);
}

/// A worker in a process of its own.
fn process(environment: &Environment) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "restarts::works_until_it_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(SERVER, environment.server.url())
        .env(QUEUE, &environment.queue)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activity_whose_worker_was_killed_runs_elsewhere_long_before_its_time_is_over() {
    let environment = Environment::shared().await;
    let mut killed = process(&environment);
    let (id, _) = environment.start("it", &Scripted::new(Script::Linger)).await;
    let (asked, id_text) = (Instant::now(), id.to_string());
    let describe = ["workflow", "describe", "--output", "json", "--workflow-id", &id_text];
    while !environment.server.cli(&describe).await.contains("STATE_STARTED") {
        assert!(asked.elapsed() < SOON, "the activity begins");
    }
    killed.kill().await.unwrap();
    let another = Lingering::default();
    another.has_begun.store(true, Ordering::SeqCst);
    let registry = environment
        .registry()
        .with_workflow(ScriptedWorkflow::default())
        .unwrap();
    let worker = environment.worker(registry.with_activity(another).unwrap()).await;
    // Its time is a minute; a worker that is silent for ten seconds is missed, and the next attempt waits for two.
    let ended = environment.described_within(SOON * 3, &id, |it| it.end.is_some()).await;
    assert_eq!(ended.end, Some(WorkflowEnd::Completed(2.into())));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_goes_on_elsewhere_when_its_worker_was_killed() {
    let environment = Environment::shared().await;
    let mut killed = process(&environment);
    let (id, _) = environment.start("it", &Scripted::new(Script::CountWhenTold)).await;
    environment
        .described(&id, |it| it.waiting.iter().any(|step| step.label == "signal go-on"))
        .await;
    killed.kill().await.unwrap();
    environment.signal(&id, &GoOn).await;
    let registry = environment
        .registry()
        .with_workflow(ScriptedWorkflow::default())
        .unwrap();
    let worker = environment
        .worker(registry.with_activity(Counting::default()).unwrap())
        .await;
    // One activity was counted there, and one here.
    assert_eq!(environment.ended(&id).await.end, Some(WorkflowEnd::Completed(2.into())));
    worker.stop().await;
}

const SERVER: &str = "AFTERCOMMIT_TEST_WORKER_SERVER";
const QUEUE: &str = "AFTERCOMMIT_TEST_WORKER_QUEUE";

/// The parent kills the process this runs in, so it has no end of its own.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by the test of a worker that is killed"]
async fn works_until_it_is_killed() {
    #[expect(
        clippy::disallowed_methods,
        reason = "what the parent says is no configuration of the platform"
    )]
    let (server, queue) = (std::env::var(SERVER).unwrap(), std::env::var(QUEUE).unwrap());
    let config = TemporalConfig::new(&server, None, None)
        .unwrap()
        .task_queue(&queue)
        .unwrap();
    let config = config.sticky_timeout(Duration::from_secs(1));
    let registry = WorkflowRegistry::new(test_services().codec)
        .with_workflow(ScriptedWorkflow::default())
        .unwrap();
    let registry = registry.with_activity(Counting::default()).unwrap();
    let registry = registry.with_activity(Lingering::default()).unwrap();
    let _worker = Temporal::new(config)
        .start_worker(registry, Arc::new(WallClock))
        .unwrap();
    std::future::pending::<()>().await;
}
