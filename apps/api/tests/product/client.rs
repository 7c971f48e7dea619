//! Calls the API without a network.

use std::sync::Arc;

use aftercommit_api::{ApiState, router};
use aftercommit_domain::contract::Limits;
use aftercommit_domain::effects::Downloads;
use aftercommit_domain::events::create_events_publisher;
use aftercommit_testkit::reference::ReferenceHarness;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

pub(crate) struct Client {
    pub(crate) harness: ReferenceHarness,
    pub(crate) router: Router,
    headers: Vec<(&'static str, String)>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Client {
    pub(crate) fn new() -> Self {
        let harness = ReferenceHarness::new();
        let events = create_events_publisher(Arc::new(harness.provider.clone()), Limits::default());
        let state = ApiState::new(harness.ports.clone(), events, harness.services.envelopes.clone());
        Self {
            harness,
            router: router(state),
            headers: Vec::new(),
        }
    }

    /// A client of a new organization.
    pub(crate) async fn signed_up() -> (Self, Value) {
        let client = Self::new();
        let made = client.sign_up("Acme", "owner@acme.test").await;
        client.harness.take_events().await;
        (client.with_key(&made), made)
    }

    /// Makes an organization; answers what was made.
    pub(crate) async fn sign_up(&self, name: &str, email: &str) -> Value {
        let made = self
            .post("/v1/organizations", json!({ "name": name, "owner_email": email }))
            .await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
        made.body
    }

    /// The same product, with objects to download.
    pub(crate) fn with_downloads(&self, downloads: Downloads) -> Self {
        let events = create_events_publisher(Arc::new(self.harness.provider.clone()), Limits::default());
        let envelopes = self.harness.services.envelopes.clone();
        let state = ApiState::new(self.harness.ports.clone(), events, envelopes);
        Self {
            harness: self.harness.clone(),
            router: router(state.with_downloads(downloads)),
            headers: self.headers.clone(),
        }
    }

    /// The same product, called with the API key of an answer.
    pub(crate) fn with_key(&self, made: &Value) -> Self {
        self.with("authorization", format!("Bearer {}", made["api_key"].as_str().unwrap()))
    }

    /// The same product, called with one more header.
    pub(crate) fn with(&self, name: &'static str, value: impl Into<String>) -> Self {
        let mut client = self.without(name);
        client.headers.push((name, value.into()));
        client
    }

    /// The same product, called without a header.
    pub(crate) fn without(&self, name: &str) -> Self {
        let headers = self.headers.iter().filter(|(other, _)| *other != name);
        Self {
            harness: self.harness.clone(),
            router: self.router.clone(),
            headers: headers.cloned().collect(),
        }
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(("application/json", body.to_string())))
            .await
    }

    pub(crate) async fn delete(&self, path: impl AsRef<str>) -> Answer {
        self.send(Method::DELETE, path.as_ref(), None).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<(&str, String)>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let request = match body {
            Some((kind, text)) => request.header("content-type", kind).body(Body::from(text)),
            None => request.body(Body::empty()),
        };
        let response = self.router.clone().oneshot(request.unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 4 * 1024 * 1024).await.unwrap();
        Answer {
            status: parts.status,
            body: serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned())),
            headers: parts.headers,
        }
    }
}

impl Answer {
    /// Checks that it is a problem document of this status and code.
    pub(crate) fn is_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.body["code"], code, "{self:?}");
        assert_eq!(self.body["status"], status);
        for text in ["type", "title", "detail"] {
            assert!(
                self.body[text].as_str().is_some_and(|text| !text.is_empty()),
                "{text}: {self:?}"
            );
        }
    }

    /// The fields a problem names, each with its code.
    pub(crate) fn named_fields(&self) -> Vec<(String, String)> {
        let errors = self.body["errors"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        errors
            .iter()
            .map(|error| (text(&error["field"]), text(&error["code"])))
            .collect()
    }
}
