//! `POST /trials`: commits events. `POST /refreshes`: publishes a task that is debounced. Asked again, because the answer was
//! lost, neither changes anything.

use std::error::Error;
use std::time::Duration;

use aftercommit::domain::contract::HandlerName;
use aftercommit::domain::events::OutboxMessage;
use aftercommit::domain::ids::MessageId;
use aftercommit::domain::tasks::Coalescing;
use aftercommit::domain::tasks::{InboxClaim, InboxMessage, PayloadDigest};
use aftercommit::prelude::*;
use aftercommit_e2e::trial::{RefreshOrder, Trial, organization_of};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use uuid::Uuid;

use crate::contract::{Refresh, TrialOrdered, tenant_of};

pub(crate) fn router(kit: Kit) -> Router {
    Router::new()
        .route("/trials", post(order))
        .route("/refreshes", post(refresh))
        .with_state(kit)
}

/// 204: it is published.
async fn refresh(State(kit): State<Kit>, Json(order): Json<RefreshOrder>) -> Result<StatusCode, (StatusCode, String)> {
    publish(&kit, &order)
        .await
        .map_err(|error| (StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn publish(kit: &Kit, order: &RefreshOrder) -> Result<(), Box<dyn Error + Send + Sync>> {
    let refresh = Refresh {
        organization_id: organization_of(0).into(),
        project_id: 1.into(),
        number: order.number,
    };
    let quiet = Duration::from_millis(order.quiet_millis);
    let options = TaskOptions::coalesced(Coalescing::debounce("page", quiet, None));
    let task = kit
        .envelopes()
        .task(order.id.into(), &refresh, &options, &Cause::root())?;
    for published in kit.queue_publisher().publish(vec![task]).await {
        published?;
    }
    Ok(())
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
