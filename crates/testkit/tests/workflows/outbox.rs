//! A workflow that a transaction asks for, from the outbox to its last activity, in memory.

use std::sync::Arc;

use aftercommit_domain::contract::{Cause, Tenant, WorkflowKey};
use aftercommit_domain::time::{days, minutes};
use aftercommit_domain::workflows::{WorkflowId, WorkflowInput, WorkflowOutboxExt, WorkflowStatus};
use aftercommit_runtime::workflow_requests_topic;
use aftercommit_testkit::{InMemoryWorkflows, TestApplication, test_services};

use crate::order::{Approved, FulfilOrder, Shop, registry};

fn tenant() -> Tenant {
    Tenant::project(7_i64, 8_i64)
}

fn order(order_id: i64) -> FulfilOrder {
    FulfilOrder {
        organization_id: 7.into(),
        project_id: 8.into(),
        order_id,
    }
}

fn id(order_id: i64) -> WorkflowId {
    WorkflowId::new(
        tenant(),
        FulfilOrder::NAME,
        WorkflowKey::new(order_id.to_string()).unwrap(),
    )
}

/// An application, the workflow engine beside it, and what its activities do.
struct Scene {
    app: TestApplication,
    engine: InMemoryWorkflows,
    shop: Shop,
}

impl Scene {
    fn new() -> Self {
        let (services, shop) = (test_services(), Shop::default());
        let engine = InMemoryWorkflows::new(registry(&services.codec, &shop, false), &services);
        let starter = Arc::new(engine.clone());
        let app = TestApplication::with_services(&services)
            .topics(|kit| vec![workflow_requests_topic(starter, kit.units_of_work())]);
        Self { app, engine, shop }
    }

    async fn ask_for(&self, order_id: i64, commits: bool) {
        let mut unit_of_work = self.app.kit().begin(&tenant(), &Cause::root()).await.unwrap();
        let mut outbox = unit_of_work.outbox();
        outbox.start(order_id, &order(order_id)).await.unwrap();
        outbox.signal(&id(order_id), &Approved).await.unwrap();
        drop(outbox);
        if commits {
            unit_of_work.commit().await.unwrap();
        }
    }

    async fn status(&self, order_id: i64) -> Option<WorkflowStatus> {
        let description = self.engine.run_to_end(&id(order_id)).await;
        description.map(|description| description.summary.status)
    }
}

#[tokio::test]
async fn a_workflow_that_a_transaction_asks_for_runs_when_it_commits_and_never_when_it_does_not() {
    let scene = Scene::new();
    scene.ask_for(1, false).await;
    scene.ask_for(2, true).await;
    scene.app.run_until_idle().await;
    assert_eq!(scene.status(1).await, None);
    assert_eq!(scene.status(2).await, Some(WorkflowStatus::Completed));
    assert_eq!(scene.shop.done(), ["charge", "pack 1", "pack 2", "pack 3", "ship"]);
    scene.app.finish();
}

#[tokio::test]
async fn what_is_asked_for_while_the_engine_is_away_happens_once_and_in_order_when_it_is_back() {
    let scene = Scene::new();
    scene.engine.set_away(true);
    scene.ask_for(1, true).await;
    for _ in 0..30 {
        scene.app.advance(minutes(10)).await;
    }
    assert_eq!(scene.engine.recorded(), 0);
    scene.engine.set_away(false);
    scene.app.run_until_idle().await;
    assert!(scene.app.dead_letters().is_empty());
    assert_eq!(scene.status(1).await, Some(WorkflowStatus::Completed));
    assert!(
        !scene.shop.done().contains(&"remind".to_owned()),
        "its approval came after its start, not before"
    );
    scene.engine.advance(days(1)).await;
    assert_eq!(scene.shop.done().len(), 5);
    scene.app.finish();
}
