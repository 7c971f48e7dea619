//! JSON request bodies: whatever is wrong with one is answered with the place where it is wrong.

use aftercommit_domain::reference::{Digest, InputProblem};
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::{ApiState, Problem};

/// A JSON body, and the digest of the request it came in.
pub(crate) struct JsonBody<T> {
    pub(crate) value: T,
    pub(crate) fingerprint: Digest,
}

impl<T: DeserializeOwned> FromRequest<ApiState> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "body.not_json",
                "send the body as `Content-Type: application/json`",
            ));
        }
        let about = format!("{} {}", request.method(), request.uri().path());
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                Problem::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "body.too_large",
                    "a body has at most 1 MiB",
                )
            } else {
                Problem::new(StatusCode::BAD_REQUEST, "body.unreadable", "the body broke off")
            }
        })?;
        Ok(Self {
            value: read(&bytes)?,
            fingerprint: Digest::of([about.as_bytes(), b"\0", &bytes].concat()),
        })
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|essence| essence.trim().to_ascii_lowercase())
        .is_some_and(|essence| {
            essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
        })
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        of_serde(path, error.inner())
    })?;
    deserializer.end().map_err(|error| of_serde(String::new(), &error))?;
    Ok(value)
}

fn of_serde(path: String, error: &serde_json::Error) -> Problem {
    match error.classify() {
        Category::Data => {
            let field = if path.is_empty() || path == "." {
                "body".to_owned()
            } else {
                path
            };
            let text = error.to_string();
            let (code, what) = if text.starts_with("unknown field") {
                ("unknown_field", text.as_str())
            } else if text.starts_with("duplicate field") {
                ("duplicate_field", text.as_str())
            } else {
                ("wrong_type", text.as_str())
            };
            // Serde adds the place in the text, which the path says better.
            let detail = what.split(" at line ").next().unwrap_or(what).to_owned();
            Problem::invalid([InputProblem { field, code, detail }])
        }
        Category::Syntax | Category::Eof | Category::Io => Problem::new(
            StatusCode::BAD_REQUEST,
            "body.malformed",
            format!(
                "the body is no JSON, first at line {}, column {}",
                error.line(),
                error.column()
            ),
        ),
    }
}

/// Fields that must be there. All that are missing are named at once.
#[derive(Default)]
pub(crate) struct Required {
    missing: Vec<InputProblem>,
}

impl Required {
    /// The field's value; an empty one, which is not used, when it is missing.
    pub(crate) fn field<T: Default>(&mut self, field: &str, value: Option<T>) -> T {
        value.unwrap_or_else(|| {
            self.missing.push(InputProblem {
                field: field.to_owned(),
                code: "missing",
                detail: "must be given".to_owned(),
            });
            T::default()
        })
    }

    /// `Err` when one was missing.
    pub(crate) fn check(self) -> Result<(), Problem> {
        if self.missing.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(self.missing))
        }
    }
}
