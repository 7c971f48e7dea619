//! `POST /trials`: commits events. Asked again, because the answer was lost, it changes nothing.

use std::error::Error;

use aftercommit::domain::contract::HandlerName;
use aftercommit::domain::events::OutboxMessage;
use aftercommit::domain::ids::MessageId;
use aftercommit::domain::tasks::{InboxClaim, InboxMessage, PayloadDigest};
use aftercommit::prelude::*;
use aftercommit_e2e::trial::{Trial, organization_of};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use uuid::Uuid;

use crate::contract::{TrialOrdered, tenant_of};

pub(crate) fn router(kit: Kit) -> Router {
    Router::new().route("/trials", post(order)).with_state(kit)
}

/// 204: each of them is committed.
async fn order(State(kit): State<Kit>, Json(trials): Json<Vec<Trial>>) -> Result<StatusCode, (StatusCode, String)> {
    for trial in trials {
        commit(&kit, trial)
            .await
            .map_err(|error| (StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn commit(kit: &Kit, Trial { trial, behaviour }: Trial) -> Result<(), Box<dyn Error + Send + Sync>> {
    let tenant = tenant_of(trial);
    let id = MessageId::from(Uuid::new_v5(&Uuid::NAMESPACE_OID, &trial.to_be_bytes()));
    let event = TrialOrdered {
        organization_id: organization_of(trial).into(),
        project_id: 1.into(),
        trial,
        behaviour,
    };
    let event = kit.envelopes().event(id, &event, &Cause::root())?;
    let order = InboxMessage {
        tenant: tenant.clone(),
        handler: HandlerName::new("orders")?,
        id,
        payload: PayloadDigest::of(&event.payload, event.version),
    };
    let mut unit = kit.begin(&tenant, &Cause::root()).await?;
    if unit.inbox().claim(&order).await? == InboxClaim::First {
        unit.outbox().append(vec![OutboxMessage::Event(event)]).await?;
        unit.commit().await?;
    }
    Ok(())
}
