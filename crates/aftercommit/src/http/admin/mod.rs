//! `/admin/v1`: what operators ask and order. The command line is its client.

mod actor;
mod bulk_runs;
mod dead_letters;
mod events;
mod orders;
mod outbox;
mod routes;
mod schedules;
mod tasks;
mod topics;
mod trees;
mod workflows;

use aftercommit_domain::ids::MessageId;
use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq;

use crate::http::Problem;
use crate::kit::Operations;

/// The longest body of an operator's request: an envelope and a little more.
const MAX_BODY: usize = 1_200_000;

const SCHEME: &[u8] = b"Bearer ";

pub(super) fn router(operations: Operations, token: SecretString) -> Router {
    Router::new()
        .route("/admin/v1/outbox", get(outbox::status))
        .route("/admin/v1/events", get(events::list).post(events::emit))
        .route("/admin/v1/events/{id}", get(events::show))
        .route("/admin/v1/tasks", get(tasks::list).post(tasks::publish))
        .route("/admin/v1/tasks/{id}", get(tasks::show))
        .route("/admin/v1/tasks/{id}/explanation", get(orders::explanation))
        .route("/admin/v1/tasks/{id}/cancel", post(orders::cancel))
        .route("/admin/v1/pauses", get(orders::pauses).post(orders::pause))
        .route("/admin/v1/pauses/resume", post(orders::resume))
        .route("/admin/v1/events/replay-preview", post(bulk_runs::preview))
        .route("/admin/v1/bulk-runs", get(bulk_runs::list).post(bulk_runs::begin))
        .route("/admin/v1/bulk-runs/{id}", get(bulk_runs::show))
        .route("/admin/v1/bulk-runs/{id}/step", post(bulk_runs::step))
        .route("/admin/v1/dead-letters", get(dead_letters::list))
        .route("/admin/v1/dead-letters/groups", get(dead_letters::groups))
        .route("/admin/v1/dead-letters/actions", get(dead_letters::actions))
        .route(
            "/admin/v1/dead-letters/{id}",
            get(dead_letters::show).delete(dead_letters::discard),
        )
        .route("/admin/v1/dead-letters/{id}/replay", post(dead_letters::replay))
        .route("/admin/v1/routes", get(routes::list))
        .route("/admin/v1/schedules", get(schedules::list))
        .route("/admin/v1/schedules/{key}", get(schedules::show))
        .route("/admin/v1/schedules/{key}/run", post(schedules::run))
        .route("/admin/v1/schedules/{key}/pause", post(schedules::pause))
        .route("/admin/v1/schedules/{key}/resume", post(schedules::resume))
        .route("/admin/v1/schedules/{key}/history", get(schedules::history))
        .route("/admin/v1/topics", get(topics::list))
        .route("/admin/v1/trees/{id}", get(trees::show))
        .route("/admin/v1/workflows", get(workflows::list).post(workflows::start))
        .route("/admin/v1/workflows/description", get(workflows::describe))
        .route("/admin/v1/workflows/value", get(workflows::query))
        .route("/admin/v1/workflows/signal", post(workflows::signal))
        .route("/admin/v1/workflows/cancel", post(workflows::cancel))
        .route("/admin/v1/workflows/terminate", post(workflows::terminate))
        .route("/admin/v1/", any(super::not_found))
        .route("/admin/v1/{*unknown}", any(super::not_found))
        .with_state(operations)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .route_layer(from_fn_with_state(token, check_token))
}

async fn check_token(State(token): State<SecretString>, request: Request, next: Next) -> Response {
    let given = request
        .headers()
        .get(AUTHORIZATION)
        .map_or(&[][..], HeaderValue::as_bytes);
    let given = match given.split_at_checked(SCHEME.len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(SCHEME) => token,
        Some(_) | None => &[],
    };
    if bool::from(given.ct_eq(token.expose_secret().as_bytes())) {
        return next.run(request).await;
    }
    let detail = "send `Authorization: Bearer <token>`; the token is in run.json of the data directory";
    let mut response = Problem::new(StatusCode::UNAUTHORIZED, "admin.unauthorized", detail).into_response();
    response
        .headers_mut()
        .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not take {method}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "route.method_not_allowed", detail)
}

/// The id in a path.
fn message_id(text: &str) -> Result<MessageId, Problem> {
    text.parse()
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "id.invalid", format!("{error}")))
}

fn not_found(what: &str, id: MessageId) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", format!("no {what} has the id {id}"))
}

/// A JSON body whose errors are problem documents.
struct Body<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match axum::Json::<T>::from_request(request, state).await {
            Ok(axum::Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(Problem::new(rejection.status(), "body.invalid", rejection.body_text())),
        }
    }
}

/// The parameter in a path, whose errors are problem documents.
struct Path<T>(T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(parameter)) => Ok(Self(parameter)),
            Err(rejection) => Err(Problem::new(rejection.status(), "path.invalid", rejection.body_text())),
        }
    }
}

/// Query parameters whose errors are problem documents.
struct Query<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "query.invalid",
                rejection.body_text(),
            )),
        }
    }
}
