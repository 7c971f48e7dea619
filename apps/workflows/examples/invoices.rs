//! Invoices whose money a workflow in Python collects (`examples/interop/temporal`): each request commits what that workflow
//! is asked. Finds its database by `DATABASE_URL`, or keeps one in a file, and Temporal by `TEMPORAL_ADDRESS`.

use std::fmt::Display;
use std::process::ExitCode;

use aftercommit::domain::contract::{SignalName, WorkflowKey};
use aftercommit::domain::workflows::WorkflowId;
use aftercommit::prelude::*;
use aftercommit_workflows::wiring::with_temporal;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

/// What the workflow is given, as JSON.
#[derive(Serialize, Deserialize, WorkflowInput)]
#[workflow(name = "collect-payment", version = 1)]
struct CollectPayment {
    organization_id: OrganizationId,
    project_id: ProjectId,
    invoice_id: i64,
    amount: i64,
}

/// What it is told, as JSON.
#[derive(Serialize, Deserialize)]
struct Paid {
    amount: i64,
}

impl WorkflowSignal for Paid {
    const NAME: SignalName = SignalName::constant("paid");
}

#[derive(Deserialize)]
struct Amount {
    amount: i64,
}

fn tenant() -> Tenant {
    Tenant::project(7, 8)
}

/// The invoice is to be paid: its workflow starts if this commits.
async fn send(State(kit): State<Kit>, Path(invoice_id): Path<i64>, Json(body): Json<Amount>) -> Answer {
    let input = CollectPayment {
        organization_id: 7.into(),
        project_id: 8.into(),
        invoice_id,
        amount: body.amount,
    };
    let mut unit = kit.begin(&tenant(), &Cause::root()).await.map_err(refused)?;
    // Here, in the same transaction, the invoice itself would be written.
    unit.outbox()
        .start_external("CollectPayment", "python", invoice_id, &input)
        .await
        .map_err(refused)?;
    unit.commit().await.map_err(refused)?;
    Ok(StatusCode::ACCEPTED)
}

/// Money came: its workflow hears of it if this commits.
async fn paid(State(kit): State<Kit>, Path(invoice_id): Path<i64>, Json(body): Json<Amount>) -> Answer {
    let key = WorkflowKey::new(invoice_id.to_string()).map_err(refused)?;
    let id = WorkflowId::new(tenant(), CollectPayment::NAME, key);
    let mut unit = kit.begin(&tenant(), &Cause::root()).await.map_err(refused)?;
    let paid = Paid { amount: body.amount };
    unit.outbox().signal(&id, &paid).await.map_err(refused)?;
    unit.commit().await.map_err(refused)?;
    Ok(StatusCode::ACCEPTED)
}

type Answer = Result<StatusCode, (StatusCode, String)>;

fn refused(error: impl Display) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n"))
}

#[tokio::main]
async fn main() -> ExitCode {
    let application = with_temporal(Aftercommit::from_env()).http(|kit| async {
        Ok(Router::new()
            .route("/invoices/{id}", post(send))
            .route("/invoices/{id}/paid", post(paid))
            .with_state(kit))
    });
    Box::pin(application.run()).await
}
