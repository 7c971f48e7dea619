//! Errors over HTTP: RFC 9457 problem documents with a stable code.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use aftercommit_domain::failure::{Classified, ErrorClass, cleared_text};

/// A problem document: `application/problem+json` with `code`, `title`, `status`, `detail`.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    /// What programs compare.
    pub code: String,
    /// The kind of problem.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What happened, for people.
    pub detail: String,
}

impl Problem {
    /// A problem with this status. Of the detail 8 KiB are kept, without control characters.
    pub fn new(status: StatusCode, code: impl Into<String>, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self {
            code: code.into(),
            title,
            status: status.as_u16(),
            // It may repeat what was sent.
            detail: cleared_text(&detail.into()),
        }
    }

    /// What a classified error is over HTTP: 503 for what may pass, 422 for what never will.
    pub fn of(error: &dyn Classified) -> Self {
        let status = match error.class() {
            ErrorClass::Retryable | ErrorClass::Outage => StatusCode::SERVICE_UNAVAILABLE,
            ErrorClass::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            ErrorClass::Permanent => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, error.code(), error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}
