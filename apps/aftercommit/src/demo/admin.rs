//! What the operators' interface says during a demonstration, whoever of the processes lives at the moment.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use aftercommit::domain::events::OutboxStats;
use aftercommit::{MessageTree, RunFile};
use axum::http::{Method, StatusCode};
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use crate::admin_client::Request;
use crate::demo::target;
use crate::opened_file::OpenedFile;
use crate::running_process::RunningProcess;

/// Asks about what is in the database and the queue.
pub(crate) enum Admin {
    /// The process that this file names; its token changes with every start.
    RunFile {
        path: PathBuf,
        known: Mutex<Option<std::sync::Arc<RunningProcess>>>,
    },
    /// Processes that share a token.
    Processes {
        client: reqwest::Client,
        urls: Vec<String>,
        token: SecretString,
        turn: AtomicUsize,
    },
    /// The database itself, which no process has for itself.
    Database(Box<OpenedFile>),
}

/// What waits.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Waiting {
    #[serde(flatten)]
    pub(crate) outbox: OutboxStats,
    pub(crate) oldest_age_seconds: Option<f64>,
}

impl Admin {
    /// By the file that the running process writes.
    pub(crate) fn of_run_file(path: PathBuf) -> Self {
        Self::RunFile {
            path,
            known: Mutex::new(None),
        }
    }

    /// Everything that belongs to a request. `Ok(None)` when nothing does. `Err` says why nobody answers.
    pub(crate) async fn tree(&self, request_id: &str) -> Result<Option<MessageTree>, String> {
        self.get(&format!("/admin/v1/trees/{request_id}")).await
    }

    /// What waits in the outbox.
    pub(crate) async fn waiting(&self) -> Result<Option<Waiting>, String> {
        self.get("/admin/v1/outbox").await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, String> {
        let (status, text) = self.send(path).await?;
        match status {
            StatusCode::OK => serde_json::from_str(&text).map(Some).map_err(|error| error.to_string()),
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(format!("{status}")),
        }
    }

    async fn send(&self, path: &str) -> Result<(StatusCode, String), String> {
        let request = || Request {
            method: Method::GET,
            path_and_query: path.to_owned(),
            body: None,
        };
        match self {
            Self::Database(file) => file.send(request()).await.map_err(|error| error.to_string()),
            Self::Processes {
                client,
                urls,
                token,
                turn,
            } => {
                let turn = turn.fetch_add(1, Ordering::Relaxed);
                let url = urls.get(turn % urls.len().max(1)).map_or("", String::as_str);
                let token = secrecy::ExposeSecret::expose_secret(token);
                let answer = client.get(format!("{url}{path}")).bearer_auth(token).send().await;
                let answer = answer.map_err(|error| target::reason(&error))?;
                let status = answer.status();
                let text = answer.text().await.map_err(|error| target::reason(&error))?;
                Ok((status, text))
            }
            Self::RunFile { path: file, known } => {
                let process = {
                    let mut known = known.lock().await;
                    if let Some(process) = &*known {
                        std::sync::Arc::clone(process)
                    } else {
                        let run_file = RunFile::read(file).map_err(|error| error.to_string())?;
                        let run_file = run_file.ok_or("no process runs")?;
                        let process = std::sync::Arc::new(RunningProcess::reach(run_file).await?);
                        *known = Some(std::sync::Arc::clone(&process));
                        process
                    }
                };
                let answer = process.send(request()).await;
                if !matches!(&answer, Ok((status, _)) if *status != StatusCode::UNAUTHORIZED) {
                    *known.lock().await = None;
                }
                answer.map_err(|error| error.to_string())
            }
        }
    }

    /// Closes what was opened here.
    pub(crate) async fn close(self) {
        match self {
            Self::Database(file) => file.close().await,
            Self::RunFile { .. } | Self::Processes { .. } => {}
        }
    }
}
