//! HTTP API of the reference product.
//!
//! A handler here runs one use case and answers with ids. It never sends, calls or waits for anything else: what follows
//! from a request follows from the events its transaction commits.

#![warn(missing_docs)]

mod authenticated;
mod downloads;
mod json_body;
mod pages;
mod problem;
mod request;
mod routes;
mod state;
pub mod wiring;

use std::process::ExitCode;

use aftercommit::Aftercommit;
use aftercommit::runtime::Roles;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post};

pub use problem::Problem;
pub use state::ApiState;

/// The longest request body, in bytes.
const MAX_BODY: usize = 1024 * 1024;

/// Serves the API and does nothing else until it is told to stop, and answers the exit status.
pub async fn main() -> ExitCode {
    let application = Aftercommit::from_env().reference_product().roles(Roles::none());
    Box::pin(wiring::register(application).run()).await
}

/// Everything under `/v1`, the two pages that links in e-mails lead to, and downloads.
///
/// What it does not know is answered 404 as a problem document, so it should be merged last into a bigger router.
pub fn router(state: ApiState) -> Router {
    Router::new()
        .route("/v1/organizations", post(routes::organizations::create))
        .route("/v1/projects", post(routes::projects::create))
        .route("/v1/projects/{project_id}", delete(routes::projects::delete))
        .route("/v1/projects/{project_id}/records:batch", post(routes::records::ingest))
        .route("/v1/projects/{project_id}/records", get(routes::records::search))
        .route("/v1/projects/{project_id}/exports", post(routes::exports::request))
        .route("/v1/exports/{export_id}", get(routes::exports::show))
        .route("/v1/exports/{export_id}/cancel", post(routes::exports::cancel))
        .route("/v1/projects/{project_id}/usage", get(routes::usage::list))
        .route(
            "/v1/projects/{project_id}/webhooks",
            get(routes::webhooks::list).post(routes::webhooks::create),
        )
        .route(
            "/v1/projects/{project_id}/webhooks/{webhook_id}",
            delete(routes::webhooks::delete),
        )
        .route("/v1/invitations", post(routes::invitations::create))
        .route("/v1/invitations/{invitation_id}", delete(routes::invitations::revoke))
        .route(
            "/v1/invitations/{invitation_id}/accept",
            post(routes::invitations::accept),
        )
        .route(
            "/v1/invitations/{invitation_id}/prolong",
            post(routes::invitations::prolong),
        )
        .route("/v1/magic-links", post(routes::magic_links::request))
        .route("/v1/magic-links/follow", post(routes::magic_links::follow))
        .route("/v1/users/{user_id}", delete(routes::users::delete))
        .route("/v1/users/{user_id}/keep", post(routes::users::keep))
        .route(
            "/v1/users/{user_id}/notification-preferences",
            get(routes::notification_preferences::show).put(routes::notification_preferences::set),
        )
        .route("/v1/api-keys", post(routes::api_keys::create))
        .route("/v1/api-keys/{api_key_id}", delete(routes::api_keys::revoke))
        .route("/downloads/{*key}", get(downloads::download))
        .route("/sign-in", get(pages::sign_in))
        .route("/join", get(pages::invitation))
        .method_not_allowed_fallback(problem::method_not_allowed)
        .fallback(problem::not_found)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(axum::middleware::from_fn_with_state(state.clone(), request::follow))
        .with_state(state)
}
