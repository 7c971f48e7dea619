//! The client of `/admin/v1`: over HTTP when a process runs, otherwise inside this one.

use std::time::Duration;

use aftercommit::config::{Database, Settings};
use aftercommit::{RunFile, StartupError};
use axum::http::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::form_urlencoded::Serializer as QuerySerializer;

use crate::command_error::CommandError;
use crate::opened_file::OpenedFile;
use crate::printable::printable_json;
use crate::running_process::RunningProcess;

/// How long an answer may take, either way.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);
/// More than the longest list; the answer of something that is not ours may be longer.
pub(crate) const LONGEST_ANSWER: usize = 64 << 20;

/// Asks and orders what operators do.
pub(crate) struct AdminClient {
    transport: Transport,
    /// The database is a server's, where other processes may work.
    is_shared: bool,
}

enum Transport {
    Process(RunningProcess),
    File(Box<OpenedFile>),
}

/// A request of either transport.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path_and_query: String,
    /// JSON.
    pub(crate) body: Option<String>,
}

/// Where it is said who asks.
pub(crate) const OPERATOR: &str = "aftercommit-operator";

/// Who is at the keyboard, as the machine calls them: for the record of what operators did.
pub(crate) fn operator() -> String {
    #[expect(clippy::disallowed_methods, reason = "who is at the keyboard is no configuration")]
    let name = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let visible = |name: &String| (1..=100).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
    name.ok().filter(visible).unwrap_or_else(|| "command-line".into())
}

/// An answer as it came: one JSON document.
pub(crate) struct Answer(String);

impl AdminClient {
    /// Finds the running process of the data directory, or opens the file when there is none.
    ///
    /// Whether the process is there is asked without the token: after a crash, something else may listen there.
    pub(crate) async fn connect(settings: Settings) -> Result<Self, CommandError> {
        let is_shared = !matches!(settings.database, Database::Sqlite(_));
        let Some(run_file) = RunFile::read(&settings.data_dir.run_file())? else {
            return Ok(Self::of_file(Box::pin(OpenedFile::open(settings)).await?, is_shared));
        };
        let (pid, url) = (run_file.pid, run_file.url.clone());
        let reason = match RunningProcess::reach(run_file).await {
            Ok(process) => {
                return Ok(Self {
                    transport: Transport::Process(process),
                    is_shared,
                });
            }
            Err(reason) => reason,
        };
        match Box::pin(OpenedFile::open(settings)).await {
            // The run file was left behind.
            Ok(file) => Ok(Self::of_file(file, is_shared)),
            Err(file @ (StartupError::Database(_) | StartupError::WrongDatabase(_))) => {
                Err(CommandError::NoAnswer { file, pid, url, reason })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn of_file(file: OpenedFile, is_shared: bool) -> Self {
        Self {
            transport: Transport::File(Box::new(file)),
            is_shared,
        }
    }

    /// Whether other processes may work on the same database, whatever runs here.
    pub(crate) const fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Whether what is ordered is done at once, or only when a process runs.
    pub(crate) const fn is_process_running(&self) -> bool {
        matches!(self.transport, Transport::Process(_))
    }

    /// `query` leaves out what is `None`.
    pub(crate) async fn get(&self, path: &str, query: &[(&str, Option<String>)]) -> Result<Answer, CommandError> {
        let mut serializer = QuerySerializer::new(String::new());
        for (name, value) in query {
            if let Some(value) = value {
                serializer.append_pair(name, value);
            }
        }
        let query = serializer.finish();
        let separator = if query.is_empty() { "" } else { "?" };
        self.send(Method::GET, format!("{path}{separator}{query}"), None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &impl Serialize) -> Result<Answer, CommandError> {
        let body = serde_json::to_string(body).map_err(|error| CommandError::Unexpected(error.to_string()))?;
        self.send(Method::POST, path.to_owned(), Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<Answer, CommandError> {
        self.send(Method::DELETE, path.to_owned(), None).await
    }

    async fn send(&self, method: Method, path: String, body: Option<String>) -> Result<Answer, CommandError> {
        let request = Request {
            method,
            path_and_query: format!("/admin/v1{path}"),
            body,
        };
        let (status, text) = match &self.transport {
            Transport::Process(process) => process.send(request).await?,
            Transport::File(file) => file.send(request).await?,
        };
        if status.is_success() {
            Ok(Answer(text))
        } else {
            Err(problem(status, &text))
        }
    }

    /// Closes the file, if it was opened.
    pub(crate) async fn close(self) {
        match self.transport {
            Transport::Process(_) => {}
            Transport::File(file) => file.close().await,
        }
    }
}

impl Answer {
    /// One document made of several answers.
    pub(crate) fn of(document: &impl Serialize) -> Result<Self, CommandError> {
        serde_json::to_string(document)
            .map(Self)
            .map_err(|error| CommandError::Unexpected(error.to_string()))
    }

    /// What it says.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, CommandError> {
        serde_json::from_str(&self.0).map_err(|error| CommandError::Unexpected(error.to_string()))
    }

    /// The document, for `--json`.
    pub(crate) fn json(&self) -> String {
        format!("{}\n", printable_json(self.0.trim_end()))
    }
}

fn problem(status: StatusCode, text: &str) -> CommandError {
    #[derive(Deserialize)]
    struct Document {
        code: String,
        detail: String,
    }
    match serde_json::from_str(text) {
        Ok(Document { code, detail }) => CommandError::Problem {
            status: status.as_u16(),
            code,
            detail,
        },
        Err(_) => CommandError::Problem {
            status: status.as_u16(),
            code: format!("http.{}", status.as_u16()),
            detail: status
                .canonical_reason()
                .unwrap_or("an answer without an explanation")
                .to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_document_is_read_and_anything_else_is_named_by_its_status() {
        let text = |body| problem(StatusCode::NOT_FOUND, body).to_string();
        assert_eq!(
            text(r#"{"code":"not_found","detail":"no task has the id 1"}"#),
            "no task has the id 1 (not_found)"
        );
        assert_eq!(text("<html>"), "Not Found (http.404)");
    }
}
