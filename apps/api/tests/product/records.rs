//! Records and the direct rail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aftercommit_api::{ApiState, router};
use aftercommit_domain::contract::{Cause, EventEnvelope, Limits, OrganizationId, TaskEnvelope, Tenant, WorkerName};
use aftercommit_domain::events::{DOMAIN_EVENTS_TOPIC, EventsPublisher, create_events_publisher};
use aftercommit_domain::reference::Progress;
use aftercommit_domain::reference::records::RecordsIngested;
use aftercommit_domain::reference::search::RefreshSearchIndex;
use aftercommit_domain::reference::search::use_cases::refresh_search_index;
use aftercommit_domain::tasks::{ConsumeOptions, Outcome, PublishError, QueueConsumer};
use aftercommit_domain::time::seconds;
use async_trait::async_trait;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::Client;

fn path(made: &Value) -> String {
    format!("/v1/projects/{}/records:batch", made["project_id"].as_str().unwrap())
}

/// The next event on the direct rail.
async fn next_event(client: &Client) -> EventEnvelope {
    let options = ConsumeOptions {
        worker: WorkerName::new("test").unwrap(),
        prefetch: 1,
        lease: seconds(60),
    };
    let mut deliveries = client
        .harness
        .provider
        .consume(&DOMAIN_EVENTS_TOPIC, options)
        .await
        .unwrap();
    let delivery = deliveries.next().await.unwrap().unwrap();
    let task = TaskEnvelope::decode(&delivery.task().body, &Limits::default()).unwrap();
    delivery.ack(&Outcome::Completed).await.unwrap();
    EventEnvelope::decode(task.payload.as_str().as_bytes(), &Limits::default()).unwrap()
}

#[tokio::test]
async fn a_batch_is_stored_and_told_of_without_an_outbox_row() {
    let (client, made) = Client::signed_up().await;
    let before = client.harness.store.count_rows();
    let records = json!({ "records": [{ "key": "a", "body": { "n": 1.50 } }, { "key": "b", "body": null }, { "key": "a", "body": 2 }] });
    let answer = client.post(&path(&made), records).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    assert_eq!(answer.body["accepted"], 2);
    assert_eq!(
        answer.body["rejected"],
        json!([{ "index": 1, "code": "record.body_missing" }])
    );
    assert_eq!(client.harness.store.count_rows(), before + 1, "one key is one record");
    assert!(
        client.harness.take_events().await.is_empty(),
        "the direct rail has no outbox row"
    );
    let event = next_event(&client).await;
    let ingested: RecordsIngested = client.harness.read(&event);
    assert_eq!(ingested.record_count, 1);
    assert_eq!(event.sequence, None);
}

#[tokio::test]
async fn a_bad_record_is_rejected_with_its_place_and_the_others_are_stored() {
    let (client, made) = Client::signed_up().await;
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let text = format!(
        "{{\"records\": [{{\"key\": \"\", \"body\": 1}}, {{\"key\": \"ok\", \"body\": 1}}, \
         {{\"key\": \"deep\", \"body\": {deep}}}, {{\"key\": \"nul\", \"body\": \"\\u0000\"}}, \
         {{\"key\": \"big\", \"body\": \"{}\"}}, {{\"body\": 1}}]}}",
        "x".repeat(64 * 1024)
    );
    let answer = client
        .send(axum::http::Method::POST, &path(&made), Some(("application/json", text)))
        .await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    assert_eq!(
        answer.body,
        json!({ "accepted": 1, "rejected": [
            { "index": 0, "code": "record.key_invalid" },
            { "index": 2, "code": "record.body_too_deep" },
            { "index": 3, "code": "record.body_invalid" },
            { "index": 4, "code": "record.body_too_large" },
            { "index": 5, "code": "record.key_invalid" },
        ] })
    );
}

#[tokio::test]
async fn an_empty_batch_and_one_over_a_thousand_are_refused() {
    let (client, made) = Client::signed_up().await;
    let record = json!({ "key": "a", "body": 1 });
    for records in [json!([]), Value::from(vec![record; 1001])] {
        let answer = client.post(&path(&made), json!({ "records": records })).await;
        answer.is_problem(422, "input.invalid");
        assert_eq!(
            answer.named_fields(),
            [("records".to_owned(), "wrong_count".to_owned())]
        );
    }
}

/// Answers that the queue is away, once.
struct AwayOnce {
    queue: Arc<dyn EventsPublisher>,
    was_away: AtomicBool,
}

#[async_trait]
impl EventsPublisher for AwayOnce {
    async fn publish(&self, events: Vec<EventEnvelope>) -> Vec<Result<(), PublishError>> {
        if self.was_away.swap(true, Ordering::SeqCst) {
            return self.queue.publish(events).await;
        }
        let away = || Err(PublishError::Unavailable { reason: "away".into() });
        events.iter().map(|_| away()).collect()
    }
}

#[tokio::test]
async fn a_batch_that_was_stored_but_not_told_of_is_told_of_when_the_request_is_repeated() {
    let (client, made) = Client::signed_up().await;
    let queue = create_events_publisher(Arc::new(client.harness.provider.clone()), Limits::default());
    let events = Arc::new(AwayOnce {
        queue,
        was_away: AtomicBool::new(false),
    });
    let state = ApiState::new(
        client.harness.ports.clone(),
        events,
        client.harness.services.envelopes.clone(),
    );
    let mut client = client.with("idempotency-key", "batch-1");
    client.router = router(state);

    let records = json!({ "records": [{ "key": "a", "body": 1 }] });
    client
        .post(&path(&made), records.clone())
        .await
        .is_problem(503, "queue.unavailable");
    let rows = client.harness.store.count_rows();
    let again = client.post(&path(&made), records).await;
    assert_eq!(again.status, StatusCode::ACCEPTED);
    assert_eq!(again.body, json!({ "accepted": 1, "rejected": [] }));
    assert_eq!(client.harness.store.count_rows(), rows);
    let ingested: RecordsIngested = client.harness.read(&next_event(&client).await);
    assert_eq!(ingested.record_count, 1);
}

#[tokio::test]
async fn records_are_looked_up_by_what_the_index_has_of_them() {
    let (client, made) = Client::signed_up().await;
    let project = made["project_id"].as_str().unwrap();
    let body = json!({"records": [{"key": "pump", "body": {"message": "Failed"}}]});
    client
        .post(&format!("/v1/projects/{project}/records:batch"), body)
        .await;
    let path = |query: &str| format!("/v1/projects/{project}/records{query}");
    let search = async |query: &str| client.send(Method::GET, &path(query), None).await;
    assert_eq!(search("?q=failed").await.body, json!({ "record_ids": [] }));

    let (organization, project_id) = (made["organization_id"].as_str().unwrap(), project.parse().unwrap());
    let events = client.harness.direct_events().await;
    let ingested: RecordsIngested = client.harness.read(&events[0]);
    let tenant = Tenant::project(organization.parse::<OrganizationId>().unwrap(), &project_id);
    let mut uow = client.harness.ports.units.begin(&tenant, &Cause::root()).await.unwrap();
    let ids = uow
        .records()
        .of_batch(&project_id, &ingested.batch, None, 9)
        .await
        .unwrap();
    drop(uow);
    let task = RefreshSearchIndex {
        organization_id: organization.parse().unwrap(),
        project_id,
        record_id: ids[0],
    };
    let refreshed = refresh_search_index(&client.harness.ports, &Cause::root(), &task).await;
    assert_eq!(refreshed.unwrap(), Progress::Done(()));
    let found = search("?q=FAILED").await;
    assert_eq!(
        (found.status, found.body),
        (StatusCode::OK, json!({ "record_ids": [ids[0]] }))
    );
    for bad in ["", "?q=", "?q=%20", "?q=a&q=b", "?colour=red"] {
        search(bad).await.is_problem(422, "input.invalid");
    }
    let other = client.sign_up("Umbrella", "owner@umbrella.test").await;
    let foreign = client
        .with_key(&other)
        .send(Method::GET, &path("?q=failed"), None)
        .await;
    foreign.is_problem(404, "not_found");
}
