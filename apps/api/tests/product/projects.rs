//! Organizations and projects.

use aftercommit_domain::reference::organizations::OrganizationCreated;
use aftercommit_domain::reference::projects::{ProjectCreated, ProjectDeleted};
use axum::http::StatusCode;
use serde_json::json;

use crate::client::Client;

#[tokio::test]
async fn signing_up_makes_everything_an_organization_begins_with() {
    let client = Client::new();
    let made = client.sign_up("Acme", "owner@acme.test").await;
    let events = client.harness.take_events().await;
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "OrganizationCreated",
            "ProjectCreated",
            "UserSignedUp",
            "MemberJoined",
            "ApiKeyCreated"
        ]
    );
    let created: OrganizationCreated = client.harness.read(&events[0]);
    assert_eq!(made["organization_id"], created.organization_id.as_str());
    assert_eq!(made["project_id"], created.project_id.as_str());
    assert!(made["user_id"].is_string());
    assert!(made["api_key"].as_str().unwrap().starts_with("ak_"));
    let works = client
        .with_key(&made)
        .post("/v1/projects", json!({ "name": "Next" }))
        .await;
    assert_eq!(works.status, StatusCode::CREATED);
}

#[tokio::test]
async fn someone_known_signs_up_once() {
    let client = Client::new();
    let first = client.sign_up("One", "Owner@acme.test").await;
    client.harness.take_events().await;
    let second = client.sign_up("Two", "owner@ACME.test").await;
    assert_eq!(first["user_id"], second["user_id"]);
    assert_ne!(first["organization_id"], second["organization_id"]);
    let events = client.harness.take_events().await;
    assert!(events.iter().all(|event| event.name.as_str() != "UserSignedUp"));
}

#[tokio::test]
async fn a_project_is_made_and_deleted_with_its_events() {
    let (client, _) = Client::signed_up().await;
    let made = client.post("/v1/projects", json!({ "name": "Apollo" })).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let id = made.body["project_id"].as_str().unwrap();
    let events = client.harness.take_events().await;
    assert_eq!(events.len(), 1);
    let created: ProjectCreated = client.harness.read(&events[0]);
    assert_eq!(created.project_id.as_str(), id);

    let deleted = client.delete(format!("/v1/projects/{id}")).await;
    assert_eq!(deleted.status, StatusCode::ACCEPTED);
    let events = client.harness.take_events().await;
    assert_eq!(events.len(), 1);
    let gone: ProjectDeleted = client.harness.read(&events[0]);
    assert_eq!(gone.project_id.as_str(), id);

    client
        .delete(format!("/v1/projects/{id}"))
        .await
        .is_problem(404, "not_found");
    let invited = json!({ "email": "ada@example.com", "role": "member", "project_id": id });
    client
        .post("/v1/invitations", invited)
        .await
        .is_problem(404, "not_found");
    assert!(client.harness.take_events().await.is_empty());
}

#[tokio::test]
async fn the_default_project_stays() {
    let (client, made) = Client::signed_up().await;
    let id = made["project_id"].as_str().unwrap();
    client
        .delete(format!("/v1/projects/{id}"))
        .await
        .is_problem(409, "project.is_default");
}
