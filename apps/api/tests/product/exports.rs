//! Exports, and downloads by link.

use aftercommit_domain::contract::{Cause, Tenant};
use aftercommit_domain::effects::{Downloads, ObjectKey, ObjectStorage, PartNumber};
use aftercommit_domain::reference::Progress;
use aftercommit_domain::reference::exports::use_cases::advance_export;
use aftercommit_domain::reference::exports::{Export, ExportState};
use aftercommit_domain::time::{days, hours, seconds};
use aftercommit_testkit::InMemoryObjectStorage;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::workflow_requests::requests;

fn path(made: &Value) -> String {
    format!("/v1/projects/{}/exports", made["project_id"].as_str().unwrap())
}

fn body(made: &Value) -> Value {
    json!({ "kind": "records", "recipient_user_id": made["user_id"] })
}

async fn get(client: &Client, path: &str) -> Answer {
    client.send(Method::GET, path, None).await
}

/// An export that was asked for.
async fn asked(client: &Client, made: &Value) -> String {
    let answer = client.post(&path(made), body(made)).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    answer.body["export_id"].as_str().unwrap().to_owned()
}

fn tenant(made: &Value) -> Tenant {
    let text = |name: &str| made[name].as_str().unwrap();
    Tenant::project(
        text("organization_id")
            .parse::<aftercommit_domain::contract::OrganizationId>()
            .unwrap(),
        text("project_id")
            .parse::<aftercommit_domain::contract::ProjectId>()
            .unwrap(),
    )
}

/// Records how far it is, as its workflow does.
async fn advance(client: &Client, made: &Value, id: &str, state: ExportState) -> Progress<Export> {
    let id = id.parse().unwrap();
    advance_export(&client.harness.ports, &Cause::root(), &tenant(made), id, state)
        .await
        .unwrap()
}

/// An export that is ready, of a file with these bytes.
fn ready(client: &Client, made: &Value, id: &str, bytes: usize) -> ExportState {
    ExportState::Ready {
        file: ObjectKey::new(&tenant(made), "exports", &format!("{id}.ndjson")).unwrap(),
        rows: 2,
        bytes: bytes as u64,
        at: client.harness.ports.now(),
    }
}

/// The client, with a storage that has one file of these bytes for the export.
async fn with_file(
    made: &Value,
    client: Client,
    id: &str,
    content: &[u8],
) -> (Client, InMemoryObjectStorage, ObjectKey) {
    let clock = client.harness.services.clock_port();
    let storage = InMemoryObjectStorage::new(clock.clone());
    let state = ready(&client, made, id, content.len());
    let Progress::Done(export) = advance(&client, made, id, state).await else {
        panic!("the export is open");
    };
    let key = export.file().unwrap();
    let part = storage.put_part(&key, PartNumber::FIRST, content.to_vec());
    part.await.unwrap();
    storage.complete(&key, 1).await.unwrap();
    let shared: std::sync::Arc<dyn ObjectStorage> = std::sync::Arc::new(storage.clone());
    let client = client.with_downloads(Downloads::new(shared, InMemoryObjectStorage::secret(), clock));
    (client, storage, key)
}

#[tokio::test]
async fn an_export_is_kept_and_its_workflow_asked_for_with_one_transaction() {
    let (client, made) = Client::signed_up().await;
    let id = asked(&client, &made).await;
    let tasks = client.harness.take_tasks().await;
    assert_eq!(tasks.len(), 1, "{tasks:?}");
    assert_eq!(
        (tasks[0].topic.as_str(), tasks[0].task.as_str()),
        ("workflow-requests", "start")
    );
    assert!(tasks[0].encode().contains(&id));
    let shown = get(&client, &format!("/v1/exports/{id}")).await;
    assert_eq!(
        shown.body,
        json!({
            "export_id": id,
            "kind": "records",
            "status": "requested",
            "requested_at": client.harness.ports.now(),
            "progress": { "rows": 0 },
        })
    );
    let before = client.harness.store.count_rows();
    client.harness.store.refuse_commits(true);
    let refused = client.post(&path(&made), body(&made)).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{refused:?}");
    assert_eq!(client.harness.store.count_rows(), before);
    assert!(client.harness.take_tasks().await.is_empty());
}

#[tokio::test]
async fn a_repeated_request_with_its_key_asks_for_one_export() {
    let (client, made) = Client::signed_up().await;
    let client = client.with("idempotency-key", "key-1");
    let first = asked(&client, &made).await;
    assert_eq!(client.harness.take_tasks().await.len(), 1);
    assert_eq!(asked(&client, &made).await, first);
    assert!(client.harness.take_tasks().await.is_empty());
}

#[tokio::test]
async fn an_export_of_nothing_or_for_nobody_is_refused_with_the_fields() {
    let (client, made) = Client::signed_up().await;
    let stranger = client.sign_up("Other", "other@example.com").await;
    for recipient in [json!("nobody"), stranger["user_id"].clone()] {
        let answer = client
            .post(
                &path(&made),
                json!({ "kind": "records", "recipient_user_id": recipient }),
            )
            .await;
        answer.is_problem(422, "input.invalid");
        assert_eq!(
            answer.named_fields(),
            [("recipient_user_id".into(), "no_member".into())]
        );
    }
    let answer = client
        .post(
            &path(&made),
            json!({ "kind": "everything", "recipient_user_id": made["user_id"] }),
        )
        .await;
    assert_eq!(answer.named_fields(), [("kind".into(), "unknown_kind".into())]);
    client
        .post("/v1/projects/nothing/exports", body(&made))
        .await
        .is_problem(404, "not_found");
    assert!(client.harness.take_tasks().await.is_empty());
}

#[tokio::test]
async fn an_export_of_another_organization_is_not_found() {
    let (client, made) = Client::signed_up().await;
    let id = asked(&client, &made).await;
    let other = client.sign_up("Other", "other@example.com").await;
    let stranger = client.with_key(&other);
    let path = format!("/v1/exports/{id}");
    get(&stranger, &path).await.is_problem(404, "not_found");
    get(&client, "/v1/exports/nonsense").await.is_problem(404, "not_found");
    stranger
        .post(&self::path(&made), body(&other))
        .await
        .is_problem(404, "not_found");
}

#[tokio::test]
async fn cancelling_an_export_tells_its_workflow_unless_it_is_over() {
    let (client, made) = Client::signed_up().await;
    let id = asked(&client, &made).await;
    requests(&client).await;
    let path = format!("/v1/exports/{id}/cancel");
    let accepted = (StatusCode::ACCEPTED, json!({ "export_id": id }));
    let answer = client.send(Method::POST, &path, None).await;
    assert_eq!((answer.status, answer.body), accepted);
    let text = |name: &str| made[name].as_str().unwrap();
    let workflow = format!("{}/{}/export/{id}", text("organization_id"), text("project_id"));
    assert_eq!(requests(&client).await, [("signal cancel".to_owned(), workflow)]);

    let stranger = client.with_key(&client.sign_up("Other", "other@example.com").await);
    requests(&client).await;
    for path in [path.as_str(), "/v1/exports/nonsense/cancel"] {
        let refused = stranger.send(Method::POST, path, None).await;
        refused.is_problem(404, "not_found");
    }
    let state = ready(&client, &made, &id, 6);
    let ended = advance(&client, &made, &id, state).await;
    assert!(matches!(ended, Progress::Done(_)));
    let late = client.send(Method::POST, &path, None).await;
    assert_eq!((late.status, late.body), accepted, "it stays as it ended");
    assert_eq!(requests(&client).await, []);
}

#[tokio::test]
async fn progress_and_how_it_ended_are_shown() {
    let (client, made) = Client::signed_up().await;
    let id = asked(&client, &made).await;
    let running = advance(&client, &made, &id, ExportState::Running { rows: 7 }).await;
    assert!(matches!(running, Progress::Done(_)));
    let shown = get(&client, &format!("/v1/exports/{id}")).await.body;
    assert_eq!(
        (&shown["status"], &shown["progress"]),
        (&json!("running"), &json!({ "rows": 7 }))
    );
    let now = client.harness.ports.now();
    let failed = advance(&client, &made, &id, ExportState::failed("the disk is full", now)).await;
    assert!(matches!(failed, Progress::Done(_)));
    let shown = get(&client, &format!("/v1/exports/{id}")).await.body;
    assert_eq!(
        (&shown["status"], &shown["reason"], &shown["ended_at"], &shown["url"]),
        (&json!("failed"), &json!("the disk is full"), &json!(now), &Value::Null)
    );
}

#[tokio::test]
async fn a_step_of_an_export_that_is_repeated_is_done_and_one_that_comes_late_is_not_wanted() {
    let (client, made) = Client::signed_up().await;
    let id = asked(&client, &made).await;
    let end = ready(&client, &made, &id, 6);
    let first = advance(&client, &made, &id, end.clone()).await;
    assert!(
        matches!(&first, Progress::Done(export) if export.state == end),
        "{first:?}"
    );
    client.harness.services.clock.advance(seconds(1));
    let again = ready(&client, &made, &id, 6);
    assert_eq!(advance(&client, &made, &id, again).await, first, "as it ended first");
    let over = Progress::NotWanted("the export is over");
    for late in [
        ExportState::Running { rows: 1 },
        ExportState::Cancelled {
            at: client.harness.ports.now(),
        },
    ] {
        assert_eq!(advance(&client, &made, &id, late).await, over);
    }
    let nobody = made["user_id"].as_str().unwrap();
    let gone = Progress::NotWanted("the export is gone");
    assert_eq!(
        advance(&client, &made, nobody, ExportState::Running { rows: 1 }).await,
        gone
    );
}

#[tokio::test]
async fn nothing_is_made_for_a_project_that_was_deleted_but_its_export_can_still_be_ended() {
    let (client, made) = Client::signed_up().await;
    let mut made = made;
    let project = client.post("/v1/projects", json!({ "name": "Second" })).await;
    made["project_id"] = project.body["project_id"].clone();
    let id = asked(&client, &made).await;
    let path = format!("/v1/projects/{}", made["project_id"].as_str().unwrap());
    assert_eq!(client.delete(path).await.status, StatusCode::ACCEPTED);
    let gone = Progress::NotWanted("the project is gone");
    for state in [ExportState::Running { rows: 1 }, ready(&client, &made, &id, 6)] {
        assert_eq!(advance(&client, &made, &id, state).await, gone);
    }
    let end = ExportState::Cancelled {
        at: client.harness.ports.now(),
    };
    assert!(matches!(advance(&client, &made, &id, end).await, Progress::Done(_)));
}

#[tokio::test]
async fn a_ready_export_is_downloaded_by_its_link_without_a_key_until_the_link_ends() {
    let (client, made) = Client::signed_up().await;
    let id = asked(&client, &made).await;
    let (client, storage, key) = with_file(&made, client, &id, b"{}\n{}\n").await;
    let shown = get(&client, &format!("/v1/exports/{id}")).await.body;
    assert_eq!((&shown["status"], &shown["bytes"]), (&json!("ready"), &json!(6)));
    let link = shown["url"].as_str().unwrap();
    let link = link.replace("https://storage.test", "/downloads");
    let anybody = client.without("authorization");

    let file = get(&anybody, &link).await;
    assert_eq!((file.status, file.body.as_str()), (StatusCode::OK, Some("{}\n{}\n")));
    let header = |name: &str| file.headers[name].to_str().unwrap();
    assert_eq!(
        header("content-disposition"),
        format!("attachment; filename=\"{id}.ndjson\"")
    );
    assert_eq!(header("content-length"), "6");
    assert_eq!(header("content-type"), "application/x-ndjson");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("cache-control"), "private, no-store");

    storage.delete(&key).await.unwrap();
    get(&anybody, &link).await.is_problem(404, "download.gone");
    client.harness.services.clock.advance(hours(24));
    get(&anybody, &link).await.is_problem(403, "download.expired");
}

#[tokio::test]
async fn a_link_that_was_changed_is_refused_whatever_there_is() {
    let (client, made) = Client::signed_up().await;
    let id = asked(&client, &made).await;
    let (client, storage, key) = with_file(&made, client, &id, b"{}").await;
    let link = storage.download_link(&key, days(1)).await.unwrap();
    let good = format!("/downloads/{key}?{}", link.url.query().unwrap());
    assert_eq!(get(&client, &good).await.status, StatusCode::OK);
    let other = ObjectKey::new(&tenant(&made), "exports", "other.ndjson").unwrap();
    let end = link.expires_at.timestamp();
    let changed = [
        good.replace(key.as_str(), other.as_str()),
        good.replace(&end.to_string(), &(end + 1).to_string()),
        good.replace(".ndjson", ".ndjson/../x"),
        format!("{good}A"),
        format!("{}x", good.split("signature=").next().unwrap()),
        good.split("&signature=").next().unwrap().to_owned(),
        format!("/downloads/{key}"),
        "/downloads/nonsense?expires=1&signature=x".to_owned(),
        "/downloads/..%2f..%2fetc/passwd/a/b?expires=9999999999&signature=x".to_owned(),
    ];
    for changed in changed {
        get(&client, &changed).await.is_problem(403, "download.forged");
    }
    let soon = storage.download_link(&key, seconds(0)).await.unwrap();
    let over = format!("/downloads/{key}?{}", soon.url.query().unwrap());
    get(&client, &over).await.is_problem(403, "download.expired");
}
