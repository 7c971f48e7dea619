//! Usage.

use aftercommit_domain::contract::{Cause, OrganizationId, ProjectId, Tenant};
use aftercommit_domain::reference::usage::month_of;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::Client;

fn path(made: &Value) -> String {
    format!("/v1/projects/{}/usage", made["project_id"].as_str().unwrap())
}

#[tokio::test]
async fn the_months_of_a_project_are_shown_and_those_of_another_organization_are_not_found() {
    let (client, made) = Client::signed_up().await;
    let none = client.send(Method::GET, &path(&made), None).await;
    assert_eq!((none.status, none.body), (StatusCode::OK, json!({ "periods": [] })));

    let project: ProjectId = made["project_id"].as_str().unwrap().parse().unwrap();
    let organization: OrganizationId = made["organization_id"].as_str().unwrap().parse().unwrap();
    let tenant = Tenant::project(organization, project.clone());
    let units = &client.harness.ports.units;
    let mut uow = units.begin(&tenant, &Cause::root()).await.unwrap();
    let month = month_of("2026-11-28T12:00:00Z".parse().unwrap());
    uow.usage().add_batch(&project, month, 5).await.unwrap();
    uow.commit().await.unwrap();
    let shown = client.send(Method::GET, &path(&made), None).await;
    assert_eq!(
        shown.body,
        json!({ "periods": [{ "month": "2026-11", "batches": 1, "records": 5 }] })
    );

    let other = client.sign_up("Umbrella", "owner@umbrella.test").await;
    let foreign = client.with_key(&other).send(Method::GET, &path(&made), None).await;
    foreign.is_problem(404, "not_found");
}
