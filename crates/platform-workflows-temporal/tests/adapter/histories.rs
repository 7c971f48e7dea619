//! Histories that a real server recorded of released workflows. A file is written once, when the way a workflow takes is
//! released; later builds must still be able to take it. A file that is missing is recorded, and the test fails that once.

use std::fs;
use std::path::PathBuf;

use aftercommit_domain::contract::ActivityName;
use aftercommit_domain::reference::exports::RunExport;
use aftercommit_domain::reference::workflows::{
    BillingOverage, DeletingUser, Exporting, ProjectProvisioning, ProvisioningProject, ReportingOverage, UserDeletion,
};
use aftercommit_domain::workflows::{
    Activity, ActivityContext, ActivityError, RegisteredTwice, StartRequest, WorkflowEnd, WorkflowInput,
    WorkflowQueryError, WorkflowRegistry,
};
use aftercommit_platform_workflows_temporal::{ReplayError, replay};
use aftercommit_testkit::temporal_server::{TemporalOptions, TemporalServer};
use aftercommit_testkit::test_services;
use async_trait::async_trait;
use serde_json::{Value, json};
use temporalio_client::grpc::WorkflowService;
use temporalio_client::{Client, ClientOptions, Connection, ConnectionOptions};
use temporalio_common::protos::temporal::api::common::v1::{Payload, Payloads, TimeSkippingConfig, WorkflowType};
use temporalio_common::protos::temporal::api::taskqueue::v1::TaskQueue;
use temporalio_common::protos::temporal::api::workflowservice::v1::StartWorkflowExecutionRequest;
use tonic::IntoRequest;
use uuid::Uuid;

use crate::environment::{Environment, SOON, id_of, organization, project};
use crate::workflows::{Counting, Script, Scripted, ScriptedWorkflow};

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_takes_another_way_than_a_recorded_history_is_found() {
    let environment = Environment::shared().await;
    let registry = |is_changed| {
        let workflow = ScriptedWorkflow {
            is_changed,
            ..ScriptedWorkflow::default()
        };
        environment.registry().with_workflow(workflow).unwrap()
    };
    let worker = environment
        .worker(registry(false).with_activity(Counting::default()).unwrap())
        .await;
    let (id, _) = environment.start("it", &Scripted::new(Script::Count)).await;
    environment.ended(&id).await;
    let history = environment.temporal.recorded_history(&id).await.unwrap();
    worker.stop().await;
    assert_eq!(replay(registry(false), &history).await, Ok(()));
    let other_way = replay(registry(true), &history).await;
    assert!(matches!(other_way, Err(ReplayError::OtherWay(_))), "{other_way:?}");
    let nobody = replay(environment.registry().with_workflow(Exporting).unwrap(), &history).await;
    assert!(matches!(nobody, Err(ReplayError::Stuck(_))), "{nobody:?}");
    let nothing = replay(registry(false), "{}").await;
    assert!(matches!(nothing, Err(ReplayError::Unreadable(_))), "{nothing:?}");
    let unknown = id_of(&Scripted::new(Script::Count), "never");
    let unknown = environment.temporal.recorded_history(&unknown).await;
    assert!(
        matches!(unknown, Err(WorkflowQueryError::Refused { .. })),
        "{unknown:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_history_of_a_deletion_is_replayed() {
    let input = UserDeletion {
        organization_id: organization(),
        user_id: Uuid::from_u128(3).into(),
        is_here_only: false,
    };
    is_replayed("user_deletion_1", &input).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_history_of_a_provisioning_is_replayed() {
    let input = ProjectProvisioning {
        organization_id: organization(),
        project_id: project(),
    };
    is_replayed("project_provisioning_1", &input).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_history_of_an_overage_is_replayed() {
    let input = json!({
        "organization_id": organization(),
        "project_id": project(),
        "month": "2026-11-01",
        "report_id": Uuid::from_u128(4),
    });
    let input: BillingOverage = serde_json::from_value(input).unwrap();
    is_replayed("billing_overage_1", &input).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_history_of_an_export_is_replayed() {
    let input = RunExport {
        organization_id: organization(),
        project_id: project(),
        export_id: Uuid::from_u128(5).into(),
    };
    is_replayed("export_1", &input).await;
}

/// The build takes the way of the history of this name.
async fn is_replayed<I: WorkflowInput>(name: &str, input: &I) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/histories")
        .join(format!("{name}.json"));
    if !path.exists() {
        fs::write(&path, recorded(input).await).unwrap();
        panic!("{} was not there; it is now", path.display());
    }
    let history = fs::read_to_string(&path).unwrap();
    let registry = workflows().unwrap();
    assert_eq!(replay(registry, &history).await, Ok(()), "{}", path.display());
}

/// The workflows of the product, without their activities.
fn workflows() -> Result<WorkflowRegistry, RegisteredTwice> {
    WorkflowRegistry::new(test_services().codec)
        .with_workflow(ReportingOverage)?
        .with_workflow(ProvisioningProject)?
        .with_workflow(DeletingUser)?
        .with_workflow(Exporting)
}

/// The history of a run whose activities answer what they answer here, on a server where time passes at once.
async fn recorded<I: WorkflowInput>(input: &I) -> String {
    let options = TemporalOptions::default().dynamic_config("frontend.WorkflowTimeSkippingEnabled", "true");
    let environment = Environment::on(TemporalServer::start(options).await);
    let worker = environment.worker(with_answers(workflows().unwrap()).unwrap()).await;
    let request = environment.request("recorded", input);
    let id = request.id.clone();
    start_without_waiting(&environment, request).await;
    let ended = environment.described_within(SOON * 3, &id, |it| it.end.is_some()).await;
    assert!(matches!(ended.end, Some(WorkflowEnd::Completed(_))), "{ended:#?}");
    let history = environment.temporal.recorded_history(&id).await.unwrap();
    worker.stop().await;
    history
}

/// Starts it so that its timers fire at once, which is nothing that the adapter offers.
async fn start_without_waiting(environment: &Environment, request: StartRequest) {
    let target: url::Url = format!("http://{}", environment.server.address()).parse().unwrap();
    let connection = Connection::connect(ConnectionOptions::new(target).build())
        .await
        .unwrap();
    let mut client = Client::new(connection, ClientOptions::new("default").build()).unwrap();
    let input = Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data: request.input.encode().into_bytes(),
        ..Payload::default()
    };
    let start = StartWorkflowExecutionRequest {
        namespace: "default".to_owned(),
        workflow_id: request.id.to_string(),
        workflow_type: Some(WorkflowType {
            name: request.id.name().to_string(),
        }),
        task_queue: Some(TaskQueue {
            name: environment.queue.clone(),
            ..TaskQueue::default()
        }),
        input: Some(Payloads { payloads: vec![input] }),
        request_id: request.request_id().to_string(),
        time_skipping_config: Some(TimeSkippingConfig {
            enabled: true,
            ..TimeSkippingConfig::default()
        }),
        ..StartWorkflowExecutionRequest::default()
    };
    client.start_workflow_execution(start.into_request()).await.unwrap();
}

/// The registry with activities of these names that answer this, whatever they are asked.
macro_rules! answers {
    ($($activity:ident $name:literal => $answer:expr;)*) => {
        $(
            struct $activity;

            #[async_trait]
            impl Activity for $activity {
                const NAME: ActivityName = ActivityName::constant($name);
                type Input = Value;
                type Output = Value;

                async fn run(&self, input: Value, _: &ActivityContext) -> Result<Value, ActivityError> {
                    let answer: fn(&Value) -> Value = $answer;
                    Ok(answer(&input))
                }
            }
        )*

        fn with_answers(registry: WorkflowRegistry) -> Result<WorkflowRegistry, RegisteredTwice> {
            let registry = Ok(registry);
            $(let registry = registry.and_then(|registry: WorkflowRegistry| registry.with_activity($activity));)*
            registry
        }
    };
}

// One of two organizations is left, and the other closed; an export has two rounds of rows.
answers! {
    Charge "charge-overage" => |_| json!(true);
    Settle "settle-overage" => |_| json!(null);
    Open "open-project-service" => |_| json!(null);
    Mark "mark-project-provisioned" => |_| json!(true);
    List "list-memberships" => memberships;
    Leave "leave-organization" => |of| json!(if of["organization_id"] == "9" { "is_alone" } else { "left" });
    Close "close-organization" => |_| json!(null);
    Anonymise "anonymise-user" => |_| json!(null);
    Begin "begin-export" => |_| json!(true);
    Collect "collect-export" => rows;
    Complete "complete-export" => |_| json!({ "rows": 20, "bytes": 400 });
    End "end-export" => |_| json!(true);
    Notify "notify-export" => |_| json!(null);
}

fn memberships(page: &Value) -> Value {
    if !page["after"].is_null() {
        return json!([]);
    }
    let of = |organization: &str| {
        json!({
            "organization_id": organization,
            "user_id": page["user_id"],
            "role": "admin",
            "joined_at": "2026-01-02T03:04:05Z",
        })
    };
    json!([of("7"), of("9")])
}

fn rows(from: &Value) -> Value {
    let is_first = from["what"]["parts"] == 0;
    let rows = if is_first { 10 } else { 20 };
    let cursor = json!({ "after": null, "parts": rows / 10, "rows": rows });
    if is_first {
        json!({ "some": cursor })
    } else {
        json!({ "all": cursor })
    }
}
