//! What looking at workflows promises.

use aftercommit_domain::contract::{Tenant, WorkflowName};
use aftercommit_domain::workflows::{WorkflowFilter, WorkflowStatus};
use serde_json::json;

use super::WorkflowEnvironment;
use super::fixture::{Note, Program, Scenario, Scene};

/// A description names the steps a workflow waits in, and since when.
pub async fn a_description_names_the_step_it_waits_in_and_since_when<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.begin("a", Program::AwaitNote).await;
    let waiting = scene.until_waiting("a", "signal note").await;
    let description = scene.look("a").await;
    assert_eq!(waiting.number.0, 1);
    assert!(waiting.since >= description.summary.started_at);
    scene.tell("a", &Note("go".into())).await;
    scene.end("a").await;
    assert!(scene.look("a").await.waiting.is_empty());
}

/// A query reads what a workflow published last under a key, also when it has closed; of anything else it reads nothing.
pub async fn a_query_reads_what_was_published_last_also_after_the_end<E: WorkflowEnvironment>(scene: &Scene<E>) {
    scene.begin("a", Program::Publish).await;
    scene.until_waiting("a", "signal note").await;
    assert_eq!(scene.query("a", "progress").await, Some(json!(2)));
    assert_eq!(scene.query("a", "nothing").await, None);
    scene.tell("a", &Note("go".into())).await;
    scene.end("a").await;
    assert_eq!(scene.query("a", "progress").await, Some(json!("done")));
}

/// Of a workflow that never was there is nothing to see.
pub async fn of_a_workflow_that_never_was_there_is_nothing_to_see<E: WorkflowEnvironment>(scene: &Scene<E>) {
    let (querier, id) = (scene.environment.querier(), scene.id("never"));
    assert_eq!(querier.describe(&id).await, Ok(None));
    assert_eq!(querier.query(&id, "progress").await, Ok(None));
}

/// A list shows the workflows that are asked for, each once, the last that began in front, a page at a time.
pub async fn a_list_shows_what_is_asked_for_page_by_page<E: WorkflowEnvironment>(scene: &Scene<E>) {
    for key in ["a", "b", "c"] {
        scene.begin(key, Program::AwaitNote).await;
        // So that they did not begin in the same moment.
        scene.pass(aftercommit_domain::time::seconds(1)).await;
    }
    scene.begin("closed", Program::Answer).await;
    scene.end("closed").await;
    let elsewhere = Scenario {
        project_id: 99.into(),
        ..Scenario::of(Program::AwaitNote, 0)
    };
    scene
        .start_as(scene.to_start("a", &elsewhere))
        .await
        .expect("it starts");
    let running = WorkflowFilter {
        tenant: Some(super::fixture::tenant()),
        name: Some(WorkflowName::constant("scenario")),
        status: Some(WorkflowStatus::Running),
        limit: Some(2),
        after: None,
    };
    assert_eq!(keys_soon(scene, &running, &["c", "b", "a"]).await, ["c", "b", "a"]);
    let completed = WorkflowFilter {
        status: Some(WorkflowStatus::Completed),
        ..running.clone()
    };
    assert_eq!(keys_soon(scene, &completed, &["closed"]).await, ["closed"]);
    let other = WorkflowFilter {
        tenant: Some(Tenant::project(7_i64, 99_i64)),
        ..running
    };
    assert_eq!(keys_soon(scene, &other, &["a"]).await, ["a"]);
}

/// The keys on all pages, as soon as they are these: a list may be behind.
async fn keys_soon<E: WorkflowEnvironment>(
    scene: &Scene<E>,
    filter: &WorkflowFilter,
    expected: &[&str],
) -> Vec<String> {
    for _ in 0..100 {
        let keys = all_keys(scene, filter).await;
        if keys == expected {
            return keys;
        }
        scene.environment.moment().await;
    }
    all_keys(scene, filter).await
}

/// The keys on all pages, none of which is longer than asked.
async fn all_keys<E: WorkflowEnvironment>(scene: &Scene<E>, filter: &WorkflowFilter) -> Vec<String> {
    let querier = scene.environment.querier();
    let (mut filter, mut keys) = (filter.clone(), Vec::new());
    for _ in 0..10 {
        let page = querier.list(&filter).await.expect("it answers");
        assert!(page.workflows.len() <= 2);
        keys.extend(page.workflows.iter().map(|summary| summary.id.key().to_string()));
        filter.after = page.next;
        if filter.after.is_none() {
            break;
        }
    }
    keys
}
