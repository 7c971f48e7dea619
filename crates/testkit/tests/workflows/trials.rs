//! What a workflow must stand, and that what it must not do is found.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aftercommit_domain::contract::{ActivityName, Json};
use aftercommit_domain::failure::Classified;
use aftercommit_domain::workflows::{
    Activity, ActivityContext, ActivityError, ActivityOptions, Exit, StartRequest, Workflow, WorkflowContext,
    WorkflowRegistry, WorkflowStarter,
};
use aftercommit_testkit::{
    InMemoryWorkflows, TestServices, WorkflowHistory, WorkflowTrial, test_services, try_workflow,
};
use async_trait::async_trait;

use crate::order::{FulfilOrder, Shop, registry, start, trial};

#[tokio::test]
async fn a_workflow_ends_the_same_and_leaves_the_same_whatever_goes_wrong_wherever() {
    for is_approved in [true, false] {
        let report = try_workflow(|services| trial(services, is_approved)).await;
        assert!(report.places >= 14 && report.attempts >= 5, "{report:?}");
        assert_eq!(report.runs, 3 + 3 * report.places + report.attempts);
    }
}

/// Counts without an idempotency key.
struct Count(Arc<AtomicU32>);

#[async_trait]
impl Activity for Count {
    const NAME: ActivityName = ActivityName::constant("count");
    type Input = ();
    type Output = ();

    async fn run(&self, (): (), _: &ActivityContext) -> Result<(), ActivityError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

struct Counting;

#[async_trait]
impl Workflow for Counting {
    type Input = FulfilOrder;
    type Output = ();

    async fn run(&self, ctx: &WorkflowContext, _: FulfilOrder) -> Result<(), Exit> {
        Ok(ctx.activity::<Count>(&(), ActivityOptions::default()).await?)
    }
}

fn counting(services: &TestServices) -> WorkflowTrial<u32> {
    let count = Arc::new(AtomicU32::new(0));
    let registry = WorkflowRegistry::new(services.codec.clone());
    WorkflowTrial {
        registry: registry
            .with_workflow(Counting)
            .and_then(|registry| registry.with_activity(Count(Arc::clone(&count))))
            .unwrap(),
        start: start(services),
        signals: vec![],
        effects: Box::new(move || count.load(Ordering::SeqCst)),
        may_be_cancelled_so: Box::new(|_, _| true),
    }
}

#[tokio::test]
#[should_panic(expected = "what it left in the world")]
async fn an_effect_that_ignores_its_idempotency_key_is_found() {
    try_workflow(counting).await;
}

const GOLDEN: &str = include_str!("histories/fulfil_order_1.json");

async fn fulfilled() -> WorkflowHistory {
    let services = test_services();
    let engine = InMemoryWorkflows::new(registry(&services.codec, &Shop::default(), false), &services);
    let request: StartRequest = start(&services);
    let id = request.id.clone();
    engine.start(request).await.unwrap();
    engine.run_to_end(&id).await.unwrap();
    engine.history(&id).unwrap()
}

#[tokio::test]
async fn a_history_is_written_exactly_as_in_its_golden_file() {
    let written = serde_json::to_string_pretty(&fulfilled().await).unwrap();
    assert_eq!(written, GOLDEN.trim_end());
}

#[tokio::test]
async fn a_run_of_the_longest_input_has_a_history_that_is_replayed() {
    let services = test_services();
    let registry = registry(&services.codec, &Shop::default(), false);
    let engine = InMemoryWorkflows::new(registry.clone(), &services);
    let mut request: StartRequest = start(&services);
    let short = request.input.payload.as_str();
    let space = " ".repeat(services.codec.limits().payload_bytes - short.len());
    let long = format!("{{{space}{}", &short[1..]);
    request.input.payload = Json::parse(long, services.codec.limits()).unwrap();
    let id = request.id.clone();
    engine.start(request).await.unwrap();
    engine.run_to_end(&id).await.unwrap();
    assert_eq!(engine.history(&id).unwrap().replay(&registry), Ok(()));
}

#[test]
fn the_history_of_a_released_workflow_is_replayed_and_a_build_that_takes_another_way_is_found() {
    let services = test_services();
    let history: WorkflowHistory = serde_json::from_str(GOLDEN).unwrap();
    let build = |charges_late| registry(&services.codec, &Shop::default(), charges_late);
    assert_eq!(history.replay(&build(false)), Ok(()));
    let problem = history.replay(&build(true)).unwrap_err();
    assert_eq!(problem.code(), "workflow.nondeterministic");
    assert!(
        problem
            .to_string()
            .contains("step 1 was `activity do` and is now `signal approved`"),
        "{problem}"
    );
    let stranger = WorkflowRegistry::new(services.codec);
    assert_eq!(history.replay(&stranger).unwrap_err().code(), "workflow.unknown");
}
