//! A data directory of a test's own, and the operators' API of what is opened in it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aftercommit::config::Settings;
use aftercommit::telemetry::{MetricsHandle, install_metrics};
use aftercommit::{Kit, Opened, Operations, Running, http};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc::UnboundedReceiver;
use tower::ServiceExt as _;

use crate::application::{CANARY, Handlers, Ran, application};

pub(crate) const TOKEN: &str = "a-token-of-this-test";
/// Longer than anything takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Place {
    directory: Arc<TempDir>,
}

/// The application, opened.
pub(crate) struct OpenedPlace {
    pub(crate) opened: Opened,
    pub(crate) handlers: Handlers,
    pub(crate) api: Api,
    runs: UnboundedReceiver<Ran>,
    directory: Arc<TempDir>,
}

/// The application, at work.
pub(crate) struct RunningPlace {
    pub(crate) running: Running,
    pub(crate) api: Api,
    runs: UnboundedReceiver<Ran>,
    directory: Arc<TempDir>,
}

/// Asks the router without a socket.
#[derive(Clone)]
pub(crate) struct Api(Router);

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

/// Metrics belong to the process, so all tests share them.
pub(crate) fn metrics() -> MetricsHandle {
    static METRICS: OnceLock<MetricsHandle> = OnceLock::new();
    METRICS.get_or_init(|| install_metrics().unwrap()).clone()
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            directory: Arc::new(tempfile::tempdir().unwrap()),
        }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub(crate) fn settings(&self) -> Settings {
        settings_of(&self.data(), &[])
    }

    pub(crate) async fn open(&self) -> OpenedPlace {
        self.open_with(&[]).await
    }

    pub(crate) async fn open_with(&self, more: &[(&str, &str)]) -> OpenedPlace {
        metrics();
        let (application, handlers, runs) = application();
        let opened = application.open(settings_of(&self.data(), more)).await.unwrap();
        OpenedPlace {
            api: Api::of(opened.operations()),
            opened,
            handlers,
            runs,
            directory: Arc::clone(&self.directory),
        }
    }
}

pub(crate) fn settings_of(data: &Path, more: &[(&str, &str)]) -> Settings {
    let data = data.to_str().unwrap().to_owned();
    let more = more
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let environment = more.chain([("AFTERCOMMIT_DATA_DIR".to_owned(), data)]);
    Settings::from_sources(environment, None).unwrap()
}

impl OpenedPlace {
    pub(crate) fn kit(&self) -> &Kit {
        self.opened.kit()
    }

    pub(crate) fn start(self) -> RunningPlace {
        RunningPlace {
            running: self.opened.start(),
            api: self.api,
            runs: self.runs,
            directory: self.directory,
        }
    }

    /// Runs until a handler ran, and what it was doing is settled.
    pub(crate) async fn run_one(self) -> Ran {
        let mut running = self.start();
        let ran = running.ran().await;
        running.stop().await;
        ran
    }

    pub(crate) async fn close(self) {
        self.opened.close().await;
        drop(self.directory);
    }
}

impl RunningPlace {
    /// The next run of a handler.
    pub(crate) async fn ran(&mut self) -> Ran {
        tokio::time::timeout(PATIENCE, self.runs.recv()).await.unwrap().unwrap()
    }

    /// Stops; answers what ran and nobody asked about.
    pub(crate) async fn stop(mut self) -> Vec<Ran> {
        self.running.stop().await;
        drop(self.directory);
        std::iter::from_fn(|| self.runs.try_recv().ok()).collect()
    }
}

impl Api {
    pub(crate) fn of(operations: &Operations) -> Self {
        Self(http::router(operations.clone(), metrics(), SecretString::from(TOKEN)))
    }

    pub(crate) async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.0.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 16 << 20).await.unwrap();
        let answer = Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.into()).unwrap(),
        };
        assert!(!answer.text.contains(CANARY), "{}", answer.text);
        answer
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: impl Into<Body>) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(AUTHORIZATION, format!("Bearer {TOKEN}"))
            .header(CONTENT_TYPE, "application/json");
        self.ask(request.body(body.into()).unwrap()).await
    }

    /// The loops of the process, by name.
    pub(crate) async fn loops(&self) -> Vec<String> {
        let health = self.get("/health").await.json(200);
        let loops = health["loops"].as_array().unwrap().iter();
        loops.map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, Body::empty()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, body.to_string()).await
    }

    /// Emits an event of this invoice; answers its id.
    pub(crate) async fn emit(&self, invoice_id: i64) -> String {
        let payload = json!({
            "organization_id": "1", "project_id": "2", "invoice_id": invoice_id, "receipt_to": CANARY,
        });
        let body = json!({ "name": "InvoicePaid", "payload": payload });
        let answer = self.post("/admin/v1/events", &body).await.json(202);
        answer["event_id"].as_str().unwrap().to_owned()
    }
}

impl Answer {
    pub(crate) fn json(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        serde_json::from_str(&self.text).unwrap()
    }

    /// A problem document with this code; answers its detail.
    pub(crate) fn problem(&self, status: u16, code: &str) -> String {
        let document = self.json(status);
        assert_eq!(self.headers[CONTENT_TYPE], "application/problem+json");
        assert_eq!(document["status"], status);
        assert_eq!(document["code"], code, "{document}");
        document["detail"].as_str().unwrap().to_owned()
    }
}
