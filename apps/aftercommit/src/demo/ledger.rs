//! The ledger of a demonstration: what was wanted, before it was asked for, and what was answered.
//!
//! One JSON document per line. A line is on the disk before whoever wrote it goes on, so that a ledger never knows less than
//! the product does.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use aftercommit::domain::time::{Clock as _, Timestamp};
use aftercommit::runtime::system::SystemClock;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::demo::call::{Call, Expected, Outcome, What};

/// Lines that may wait to be written.
const WAITING: usize = 4_096;
/// Lines of one flush.
const AT_ONCE: usize = 512;

/// Writes lines, each durable when it answers. Clones write into the same file.
#[derive(Clone)]
pub(crate) struct Ledger {
    lines: mpsc::Sender<(String, oneshot::Sender<Result<(), String>>)>,
}

/// The ledger cannot be written: without it a verdict would be worth nothing.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}")]
pub(crate) struct LedgerError {
    path: String,
    reason: String,
}

/// A line.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line<'a> {
    /// The first one.
    Run {
        at: Timestamp,
        run: &'a str,
        seed: u64,
        version: &'static str,
    },
    /// About to be asked for. Comes once for each request, also when it is tried again.
    Intent {
        at: Timestamp,
        number: u64,
        request_id: &'a str,
        idempotency_key: Option<&'a str>,
        what: What,
        method: &'a str,
        path: &'a str,
        tenant: Option<&'a str>,
        about: &'a str,
        expected: Expected,
        /// What it leads to when it is taken.
        events: &'a [&'a str],
        is_repetition: bool,
    },
    /// What came back of one try.
    Answer {
        at: Timestamp,
        number: u64,
        request_id: &'a str,
        tries: u32,
        outcome: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'a str>,
        /// The ids the product gave, without secrets.
        ids: Value,
    },
    /// The last one.
    End { at: Timestamp, requests: u64 },
}

impl Ledger {
    /// Begins a ledger. An existing file is not touched.
    ///
    /// # Errors
    /// The file is there already, or cannot be made.
    pub(crate) async fn begin(path: &Path, run: &str, seed: u64) -> Result<Self, LedgerError> {
        let at = path.to_owned();
        let opened =
            tokio::task::spawn_blocking(move || OpenOptions::new().append(true).create_new(true).open(at)).await;
        let file = match opened {
            Ok(Ok(file)) => file,
            Ok(Err(error)) => return Err(LedgerError::of(path, &error)),
            Err(_) => return Err(LedgerError::of(path, &"it could not be opened")),
        };
        let (lines, waiting) = mpsc::channel(WAITING);
        std::thread::spawn(move || write(file, waiting));
        let ledger = Self { lines };
        let first = Line::Run {
            at: SystemClock.now(),
            run,
            seed,
            version: env!("CARGO_PKG_VERSION"),
        };
        ledger
            .put(&first)
            .await
            .map_err(|reason| LedgerError::of(path, &reason))?;
        Ok(ledger)
    }

    /// A request is about to be made.
    pub(crate) async fn intend(&self, call: &Call, tenant: Option<&str>) -> Result<(), String> {
        self.put(&Line::Intent {
            at: SystemClock.now(),
            number: call.number,
            request_id: &call.request_id,
            idempotency_key: call.idempotency_key.as_deref(),
            what: call.what,
            method: call.method.as_str(),
            path: &call.path,
            tenant,
            about: &call.about,
            expected: call.expected,
            events: call.events,
            is_repetition: call.is_repetition,
        })
        .await
    }

    /// What came back.
    pub(crate) async fn answered(&self, call: &Call, tries: u32, outcome: &Outcome) -> Result<(), String> {
        let (word, status, code, reason, ids) = match outcome {
            Outcome::Taken { status, body } => ("ok", Some(*status), None, None, without_secrets(body)),
            Outcome::Refused { status, code } => ("refused", Some(*status), Some(code.as_str()), None, Value::Null),
            Outcome::Unknown { reason } => ("unknown", None, None, Some(reason.as_str()), Value::Null),
        };
        self.put(&Line::Answer {
            at: SystemClock.now(),
            number: call.number,
            request_id: &call.request_id,
            tries,
            outcome: word,
            status,
            code,
            reason,
            ids,
        })
        .await
    }

    /// Nothing more is asked for.
    pub(crate) async fn end(&self, requests: u64) -> Result<(), String> {
        let at = SystemClock.now();
        self.put(&Line::End { at, requests }).await
    }

    async fn put(&self, line: &Line<'_>) -> Result<(), String> {
        let mut text = serde_json::to_string(line).map_err(|error| error.to_string())?;
        text.push('\n');
        let (done, written) = oneshot::channel();
        let gone = || "the ledger is closed".to_owned();
        self.lines.send((text, done)).await.map_err(|_| gone())?;
        written.await.map_err(|_| gone())?
    }
}

/// What waits is written at once and flushed once.
fn write(mut file: File, mut waiting: mpsc::Receiver<(String, oneshot::Sender<Result<(), String>>)>) {
    let mut gathered = Vec::with_capacity(AT_ONCE);
    while waiting.blocking_recv_many(&mut gathered, AT_ONCE) > 0 {
        let text: String = gathered.iter().map(|(line, _)| line.as_str()).collect();
        let written: io::Result<()> = file.write_all(text.as_bytes()).and_then(|()| file.sync_data());
        let result = written.map_err(|error| error.to_string());
        for (_, done) in gathered.drain(..) {
            // Whoever does not wait any more has been stopped.
            let _ = done.send(result.clone());
        }
    }
}

/// The body of an answer without what is shown once.
fn without_secrets(body: &Value) -> Value {
    let mut body = body.clone();
    if let Some(fields) = body.as_object_mut() {
        fields.remove("api_key");
    }
    body
}

impl LedgerError {
    fn of(path: &Path, reason: &dyn std::fmt::Display) -> Self {
        Self {
            path: PathBuf::from(path).display().to_string(),
            reason: reason.to_string(),
        }
    }
}
