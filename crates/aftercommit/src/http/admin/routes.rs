//! The table of what follows from what.

use aftercommit_domain::contract::EventName;
use aftercommit_domain::events::{EventDescriptor, RouteEffect};
use aftercommit_domain::tasks::TaskDescriptor;
use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::kit::Operations;

#[derive(Serialize)]
pub(super) struct RoutesAnswer {
    routes: Vec<RouteAnswer>,
    events: Vec<EventDescriptor>,
    tasks: Vec<TaskDescriptor>,
}

#[derive(Serialize)]
struct RouteAnswer {
    event: EventName,
    #[serde(flatten)]
    effect: RouteEffect,
}

pub(super) async fn list(State(operations): State<Operations>) -> Json<RoutesAnswer> {
    let routes = operations
        .routes
        .entries()
        .iter()
        .map(|route| RouteAnswer {
            event: route.event.clone(),
            effect: route.effect.clone(),
        })
        .collect();
    Json(RoutesAnswer {
        routes,
        events: operations.catalogue.events().to_vec(),
        tasks: operations.descriptors.to_vec(),
    })
}
