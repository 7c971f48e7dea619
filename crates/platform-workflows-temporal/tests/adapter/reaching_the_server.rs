//! A server that is away, or is not set up for us.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aftercommit_domain::failure::{Classified, ErrorClass};
use aftercommit_domain::workflows::{WorkflowQuerier, WorkflowQueryError, WorkflowStartError, WorkflowStarter};
use aftercommit_platform_workflows_temporal::{Temporal, TemporalConfig, WorkerHealth};
use aftercommit_testkit::temporal_server::{TemporalOptions, TemporalServer};

use crate::environment::{Environment, SOON, WallClock, signal_request};
use crate::workflows::{GoOn, Script, Scripted, ScriptedWorkflow};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_an_outage_and_a_worker_waits_for_it() {
    let server = TemporalServer::start(TemporalOptions::default().durable()).await;
    let environment = Environment::on(server.clone());
    server.kill().await;
    let request = environment.request("it", &Scripted::new(Script::Count));
    let id = request.id.clone();
    let asked = Instant::now();
    let refused = environment.temporal.start(request.clone()).await.unwrap_err();
    assert!(matches!(refused, WorkflowStartError::Unavailable { .. }), "{refused}");
    assert_eq!(refused.class(), ErrorClass::Outage);
    let refused = environment
        .temporal
        .signal(signal_request(&id, &GoOn))
        .await
        .unwrap_err();
    assert_eq!(refused.class(), ErrorClass::Outage, "{refused}");
    let refused = environment.temporal.describe(&id).await.unwrap_err();
    assert!(matches!(refused, WorkflowQueryError::Unavailable { .. }), "{refused}");
    assert!(asked.elapsed() < SOON * 3, "{:?}", asked.elapsed());

    let registry = environment
        .registry()
        .with_workflow(ScriptedWorkflow::default())
        .unwrap();
    let worker = environment
        .temporal
        .start_worker(registry, Arc::new(WallClock))
        .unwrap();
    worker
        .wait_until(|health| matches!(health, WorkerHealth::Failing(_)))
        .await;
    server.start_again().await;
    worker.wait_until(|health| *health == WorkerHealth::Running).await;
    environment.temporal.start(request).await.unwrap();
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_not_there_is_an_outage_that_names_it() {
    let shared = Environment::shared().await;
    let config = Environment::config(&shared.server).namespace("nowhere").unwrap();
    let temporal = Temporal::new(config);
    let request = shared.request("it", &Scripted::new(Script::Count));
    let refused = temporal.start(request.clone()).await.unwrap_err();
    assert!(matches!(refused, WorkflowStartError::Unavailable { .. }), "{refused}");
    assert!(refused.to_string().contains("nowhere"), "{refused}");
    let refused = temporal.describe(&request.id).await.unwrap_err();
    assert!(matches!(refused, WorkflowQueryError::Unavailable { .. }), "{refused}");
    let registry = shared.registry().with_workflow(ScriptedWorkflow::default()).unwrap();
    let worker = temporal.start_worker(registry, Arc::new(WallClock)).unwrap();
    worker
        .wait_until(|health| matches!(health, WorkerHealth::Failing(reason) if reason.contains("nowhere")))
        .await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_answers_nothing_is_an_outage_within_the_time_of_a_call() {
    let server = TemporalServer::start(TemporalOptions::default()).await;
    let config = TemporalConfig::new(&server.url(), None, None).unwrap();
    let temporal = Temporal::new(config.call_timeout(Duration::from_secs(1)));
    temporal.check().await.unwrap();
    server.pause().await;
    let environment = Environment::on(server.clone());
    let asked = Instant::now();
    let refused = temporal
        .start(environment.request("it", &Scripted::new(Script::Count)))
        .await
        .unwrap_err();
    assert!(matches!(refused, WorkflowStartError::Unavailable { .. }), "{refused}");
    assert!(asked.elapsed() < Duration::from_secs(3));
    temporal.check().await.unwrap_err();
    server.resume().await;
    temporal.check().await.unwrap();
}
