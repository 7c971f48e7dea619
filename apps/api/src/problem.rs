//! Errors over HTTP: RFC 9457 problem documents with a stable code.

use aftercommit_domain::effects::ObjectStorageError;
use aftercommit_domain::failure::{Classified, ErrorClass};
use aftercommit_domain::reference::{InputProblem, Refusal, UseCaseError};
use aftercommit_domain::unit_of_work::CommitError;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// A problem document: `application/problem+json`.
#[derive(Debug, Clone)]
pub struct Problem {
    /// In a box, because every result in this package can hold one.
    document: Box<Document>,
    header: Option<(HeaderName, &'static str)>,
}

#[derive(Debug, Clone, Serialize)]
struct Document {
    /// A URI of the kind of problem.
    #[serde(rename = "type")]
    kind: String,
    /// What programs compare.
    code: &'static str,
    /// The kind of problem, for people.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened, for people.
    detail: String,
    /// The fields that are wrong, when it is about the input.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

/// What is wrong with one field.
#[derive(Debug, Clone, Serialize)]
struct FieldError {
    /// The field's path, such as `records[3].key`.
    field: String,
    /// A stable code, such as `too_long`.
    code: &'static str,
    /// What the value must be, for people.
    detail: String,
}

impl Problem {
    /// A problem of this status and code.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            document: Box::new(Document {
                kind: format!("urn:aftercommit:problem:{code}"),
                code,
                title: status.canonical_reason().unwrap_or("Error"),
                status: status.as_u16(),
                detail: detail.into(),
                errors: Vec::new(),
            }),
            header: None,
        }
    }

    /// No API key, or one that does not work: nobody learns which.
    pub(crate) fn unauthorized() -> Self {
        let mut problem = Self::new(
            StatusCode::UNAUTHORIZED,
            "api_key.not_valid",
            "send a working API key as `Authorization: Bearer <api_key>`",
        );
        problem.header = Some((WWW_AUTHENTICATE, "Bearer realm=\"aftercommit\""));
        problem
    }

    /// There is no such thing, or it is another tenant's.
    pub(crate) fn no_such(what: &'static str) -> Self {
        Refusal::NotFound { what }.into()
    }

    /// Input that cannot be taken, with what is wrong in it.
    pub(crate) fn invalid(problems: impl IntoIterator<Item = InputProblem>) -> Self {
        let errors: Vec<FieldError> = problems
            .into_iter()
            .map(|one| FieldError {
                field: one.field,
                code: one.code,
                detail: one.detail,
            })
            .collect();
        let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        let detail = format!("not taken because of: {}", fields.join(", "));
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "input.invalid", detail);
        problem.document.errors = errors;
        problem
    }

    fn retry_after_a_second(mut self) -> Self {
        self.header = Some((RETRY_AFTER, "1"));
        self
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::Invalid(invalid) => return Self::invalid(invalid.problems),
            Refusal::NotFound { .. } => StatusCode::NOT_FOUND,
            Refusal::DefaultProject
            | Refusal::InvitationAccepted
            | Refusal::LastApiKey
            | Refusal::InOtherOrganizations
            | Refusal::TooManyWebhooks => StatusCode::CONFLICT,
            Refusal::InvitationRevoked | Refusal::InvitationExpired | Refusal::LinkNotValid => StatusCode::GONE,
            Refusal::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, refusal.code(), refusal.to_string())
    }
}

impl From<ObjectStorageError> for Problem {
    fn from(error: ObjectStorageError) -> Self {
        let (code, class) = (error.code(), error.class());
        tracing::error!(code, ?class, error = %error, "the object storage failed");
        let detail = "the file cannot be reached now";
        match class {
            ErrorClass::Permanent => Self::new(StatusCode::INTERNAL_SERVER_ERROR, code, detail),
            ErrorClass::Outage | ErrorClass::Retryable | ErrorClass::RateLimited => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after_a_second()
            }
        }
    }
}

impl From<UseCaseError> for Problem {
    fn from(error: UseCaseError) -> Self {
        let detail = match error {
            UseCaseError::Refused(refusal) => return refusal.into(),
            UseCaseError::Store(_)
            | UseCaseError::Write(_)
            | UseCaseError::Answer(_)
            | UseCaseError::Commit(
                CommitError::RolledBack { .. } | CommitError::Conflict { .. } | CommitError::Refused { .. },
            ) => "nothing was changed",
            UseCaseError::Commit(CommitError::Unknown { .. }) => {
                "it may or may not have been done; repeat it with the same Idempotency-Key"
            }
            UseCaseError::Publish(_) => "it is stored but not yet told of; repeat the request",
        };
        // The error's own words are for the operator: they may tell of the inside.
        let (code, class) = (error.code(), error.class());
        tracing::error!(code, ?class, error = %error, "a request failed");
        match class {
            ErrorClass::Outage | ErrorClass::Retryable | ErrorClass::RateLimited => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after_a_second()
            }
            ErrorClass::Permanent => Self::new(StatusCode::INTERNAL_SERVER_ERROR, code, detail),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.document.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(self.document)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.extend(self.header.map(|(name, value)| (name, HeaderValue::from_static(value))));
        response
    }
}

/// The answer to a path nobody has.
pub(crate) async fn not_found(uri: Uri) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "route.not_found",
        format!("there is no {}", uri.path()),
    )
}

/// The answer to a method that a path does not have.
pub(crate) async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "route.method_not_allowed",
        format!("{} does not take {method}", uri.path()),
    )
}

/// The answer to a request that took too long.
pub(crate) fn timed_out() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "request.timed_out",
        "it may or may not have been done; repeat it with the same Idempotency-Key",
    )
    .retry_after_a_second()
}
