//! Starts that arrive twice, or whose answer was lost; and what the server keeps of them.

use std::time::Duration;

use aftercommit_domain::workflows::{SignalRequest, WorkflowEnd, WorkflowStartError, WorkflowStarter, WorkflowStatus};

use aftercommit_platform_workflows_temporal::{Temporal, TemporalConfig};
use aftercommit_testkit::proxy::{Direction, Flow, TcpProxy};
use aftercommit_testkit::temporal_server::{TemporalOptions, TemporalServer};
use base64::Engine as _;

use crate::environment::{Environment, new_id, signal_request, stop_request};
use crate::workflows::{Counting, GoOn, Script, Scripted, ScriptedWorkflow, Secret, SecretWorkflow};

#[tokio::test(flavor = "multi_thread")]
async fn a_start_whose_answer_was_lost_starts_nothing_new_when_it_is_sent_again() {
    let environment = Environment::shared().await;
    let counting = Counting::default();
    let registry = environment
        .registry()
        .with_workflow(ScriptedWorkflow::default())
        .unwrap();
    let worker = environment
        .worker(registry.with_activity(counting.clone()).unwrap())
        .await;
    let request = environment.request("it", &Scripted::new(Script::Count));
    let id = request.id.clone();
    let run = environment.temporal.start(request.clone()).await.unwrap();
    // While it runs or just after, and when it has surely ended.
    assert_eq!(environment.temporal.start(request.clone()).await, Ok(run.clone()));
    assert_eq!(environment.ended(&id).await.end, Some(WorkflowEnd::Completed(1.into())));
    assert_eq!(environment.temporal.start(request.clone()).await, Ok(run.clone()));
    // Another request starts it again, and the first is still known.
    let mut another = request.clone();
    another.input.id = new_id();
    let second = environment.temporal.start(another).await.unwrap();
    assert_ne!(second, run);
    environment
        .described(&id, |it| it.summary.run_id == second && it.end.is_some())
        .await;
    assert_eq!(environment.temporal.start(request).await, Ok(run));
    assert_eq!(counting.calls.load(std::sync::atomic::Ordering::SeqCst), 2);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_workflow_is_not_started_again_by_another_request() {
    let environment = Environment::shared().await;
    let (id, run) = environment.start("it", &Scripted::new(Script::CountWhenTold)).await;
    let refused = environment
        .temporal
        .start(environment.request("it", &Scripted::new(Script::Count)))
        .await;
    assert_eq!(
        refused,
        Err(WorkflowStartError::AlreadyStarted {
            id: id.clone(),
            run_id: run
        })
    );
    environment.temporal.terminate(stop_request(&id)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_to_a_closed_workflow_that_it_was_told_before_are_answered_as_then() {
    let environment = Environment::shared().await;
    let start = environment.request("it", &Scripted::new(Script::CountWhenTold));
    let id = start.id.clone();
    let signal = SignalRequest {
        request_id: start.request_id(),
        ..signal_request(&id, &GoOn)
    };
    let run = environment
        .temporal
        .signal_with_start(start.clone(), signal.clone())
        .await
        .unwrap();
    assert_eq!(
        environment
            .temporal
            .signal_with_start(start.clone(), signal.clone())
            .await,
        Ok(run.clone())
    );
    let cancel = stop_request(&id);
    environment.temporal.cancel(cancel.clone()).await.unwrap();
    let terminate = stop_request(&id);
    environment.temporal.terminate(terminate.clone()).await.unwrap();
    assert_eq!(
        environment.describe(&id).await.summary.status,
        WorkflowStatus::Terminated
    );
    assert_eq!(environment.temporal.terminate(terminate).await, Ok(()));
    assert_eq!(environment.temporal.cancel(cancel).await, Ok(()));
    assert_eq!(environment.temporal.signal(signal.clone()).await, Ok(()));
    assert_eq!(environment.temporal.signal_with_start(start, signal).await, Ok(run));
    assert!(environment.temporal.signal(signal_request(&id, &GoOn)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tenant_is_in_the_memo() {
    let environment = Environment::shared().await;
    let (id, _) = environment.start("it", &Scripted::new(Script::Count)).await;
    let described = environment
        .server
        .cli(&["workflow", "describe", "--workflow-id", &id.to_string()])
        .await;
    assert!(
        described.contains("organization_id") && described.contains("project_id"),
        "{described}"
    );
    environment.temporal.terminate(stop_request(&id)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_found_by_its_search_attributes_where_the_namespace_has_them() {
    let options = TemporalOptions::default()
        .search_attribute("AftercommitOrganization", "Keyword")
        .search_attribute("AftercommitProject", "Keyword");
    let environment = Environment::on(TemporalServer::start(options).await);
    let (id, _) = environment.start("it", &Scripted::new(Script::Count)).await;
    let query = "AftercommitOrganization = '7' AND AftercommitProject = '8'";
    let listed = environment.server.cli(&["workflow", "list", "--query", query]).await;
    assert!(listed.contains(&id.to_string()), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_arrived_and_whose_answer_did_not_is_an_outage_and_starts_one_run() {
    let direct = Environment::shared().await;
    let proxy = TcpProxy::start(direct.server.address()).await.unwrap();
    let config = TemporalConfig::new(&proxy.address().to_string(), None, None).unwrap();
    let config = config
        .call_timeout(Duration::from_secs(1))
        .task_queue(&direct.queue)
        .unwrap();
    // Else the first answer would be that the namespace does not have them.
    let temporal = Temporal::new(config.search_attributes(false));
    temporal.check().await.unwrap();
    proxy.set_flow(Direction::ToClient, Flow::Blackhole);
    let request = direct.request("it", &Scripted::new(Script::Count));
    let lost = temporal.start(request.clone()).await.unwrap_err();
    assert!(matches!(lost, WorkflowStartError::Unavailable { .. }), "{lost}");
    let started = direct.describe(&request.id).await.summary.run_id;
    proxy.set_flow(Direction::ToClient, Flow::Pass);
    proxy.cut();
    assert_eq!(temporal.start(request.clone()).await, Ok(started));
    let runs = format!("WorkflowId = '{}'", request.id);
    let counted = direct.server.cli(&["workflow", "count", "--query", &runs]).await;
    assert!(counted.contains("Total: 1"), "{counted}");
    direct.temporal.terminate(stop_request(&request.id)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_an_input_is_sealed_in_the_history() {
    let environment = Environment::shared().await;
    let registry = environment.registry().with_workflow(SecretWorkflow).unwrap();
    let worker = environment.worker(registry).await;
    let (id, _) = environment.start("it", &Secret::new("a-magic-link")).await;
    assert_eq!(
        environment.ended(&id).await.end,
        Some(WorkflowEnd::Completed(12.into()))
    );
    let show = ["workflow", "show", "--output", "json", "--workflow-id", &id.to_string()];
    let history = environment.server.cli(&show).await;
    assert!(history.contains("workflowExecutionStartedEventAttributes"), "{history}");
    let plain = [
        String::from("a-magic-link"),
        base64::engine::general_purpose::STANDARD.encode("a-magic-link"),
    ];
    assert!(plain.iter().all(|plain| !history.contains(plain)), "{history}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_the_stores_of_a_server_may_not_hold_is_refused_before_it_is_asked() {
    let environment = Environment::shared().await;
    let request = environment.request("it", &Scripted::new(Script::Count));
    let signal = SignalRequest {
        request_id: request.request_id(),
        ..signal_request(&request.id, &GoOn)
    };
    let temporal = Temporal::new(Environment::config(&environment.server).max_id_bytes(20));
    for refused in [
        temporal.start(request.clone()).await,
        temporal.signal_with_start(request.clone(), signal).await,
    ] {
        assert!(
            matches!(refused, Err(WorkflowStartError::Refused { .. })),
            "{refused:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_is_found_by_its_tenant_as_its_parent_is() {
    let options = TemporalOptions::default()
        .search_attribute("AftercommitOrganization", "Keyword")
        .search_attribute("AftercommitProject", "Keyword");
    let environment = Environment::on(TemporalServer::start(options).await);
    let registry = environment
        .registry()
        .with_workflow(ScriptedWorkflow::default())
        .unwrap();
    let worker = environment.worker(registry).await;
    let (id, _) = environment.start("it", &Scripted::new(Script::RaceInAChild)).await;
    assert_eq!(environment.ended(&id).await.end, Some(WorkflowEnd::Completed(1.into())));
    let query = "AftercommitOrganization = '7' AND AftercommitProject = '8'";
    let counted = environment.server.cli(&["workflow", "count", "--query", query]).await;
    assert!(counted.contains("Total: 2"), "{counted}");
    worker.stop().await;
}
