//! Where the product is, and how a request gets there.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aftercommit::RunFile;
use reqwest::Client;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;

use crate::demo::call::{Body, Call, Outcome};

/// Longer than the product itself lets a request take.
const DEADLINE: Duration = Duration::from_secs(20);
const CONNECT_DEADLINE: Duration = Duration::from_secs(2);
/// The longest answer that is read.
const LONGEST_ANSWER: usize = 4 << 20;

/// The processes of the product. One that is gone is asked again and again: it may come back, at another address too.
pub(crate) struct Target {
    client: Client,
    urls: Mutex<Vec<String>>,
    turn: AtomicUsize,
    /// Tells the address of a process that was started anew.
    run_file: Option<PathBuf>,
}

impl Target {
    /// Without `run_file` the addresses stay as they are.
    pub(crate) fn new(urls: Vec<String>, run_file: Option<PathBuf>) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_DEADLINE)
            .timeout(DEADLINE)
            .build()?;
        Ok(Self {
            client,
            urls: Mutex::new(urls),
            turn: AtomicUsize::new(0),
            run_file,
        })
    }

    /// They take turns.
    fn next_url(&self) -> String {
        let urls = self.urls.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        urls.get(turn % urls.len().max(1)).cloned().unwrap_or_default()
    }

    /// Makes the request once.
    pub(crate) async fn send(&self, call: &Call) -> Outcome {
        let mut request = self
            .client
            .request(call.method.clone(), format!("{}{}", self.next_url(), call.path))
            .header("x-request-id", &call.request_id);
        if let Some(key) = &call.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        if let Some(key) = &call.bearer {
            request = request.bearer_auth(key);
        }
        request = match &call.body {
            Some(Body::Json(body)) => request.json(body),
            Some(Body::Raw(body, content_type)) => request.header(CONTENT_TYPE, *content_type).body(body.clone()),
            None => request,
        };
        self.outcome_of(request).await
    }

    /// Asks one of the processes.
    pub(crate) async fn get(&self, path: &str, bearer: &str) -> Outcome {
        let request = self.client.get(format!("{}{path}", self.next_url()));
        self.outcome_of(request.bearer_auth(bearer)).await
    }

    async fn outcome_of(&self, request: reqwest::RequestBuilder) -> Outcome {
        match answer(request).await {
            Ok((status, _, body)) => outcome(status, &body),
            Err(error) => {
                self.look_again();
                Outcome::Unknown { reason: reason(&error) }
            }
        }
    }

    fn look_again(&self) {
        let found = self
            .run_file
            .as_deref()
            .and_then(|path| RunFile::read(path).ok().flatten());
        if let Some(found) = found {
            *self.urls.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = vec![found.url];
        }
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<(u16, HeaderMap, String), reqwest::Error> {
    let mut answer = request.send().await?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if bytes.len() + chunk.len() <= LONGEST_ANSWER {
            bytes.extend_from_slice(&chunk);
        }
    }
    Ok((status, headers, String::from_utf8_lossy(&bytes).into_owned()))
}

fn outcome(status: u16, body: &str) -> Outcome {
    let body: Value = serde_json::from_str(body).unwrap_or(Value::Null);
    let code = || body.get("code").and_then(Value::as_str).unwrap_or("no code").to_owned();
    match status {
        200..300 => Outcome::Taken { status, body },
        408 | 429 => Outcome::Unknown {
            reason: format!("{status} {}", code()),
        },
        400..500 => Outcome::Refused { status, code: code() },
        _ => Outcome::Unknown {
            reason: format!("{status} {}", code()),
        },
    }
}

/// The innermost cause says most.
pub(crate) fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".into();
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
