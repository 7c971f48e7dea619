//! The running process of the data directory, over HTTP.

use std::error::Error as _;
use std::time::Duration;

use aftercommit::RunFile;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use reqwest::{Client, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::admin_client::{DEADLINE, LONGEST_ANSWER, OPERATOR, Request, operator};
use crate::command_error::CommandError;

/// It is on this machine, so a connection takes no time unless nobody is there.
const CONNECT_DEADLINE: Duration = Duration::from_secs(2);

pub(crate) struct RunningProcess {
    client: Client,
    url: String,
    token: SecretString,
}

impl RunningProcess {
    /// `Err` tells why it cannot be asked: nobody listens, nobody answers, or something else does.
    pub(crate) async fn reach(run_file: RunFile) -> Result<Self, String> {
        // A proxy of the environment must neither see the token nor be asked about this machine.
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_DEADLINE)
            .timeout(DEADLINE)
            .build()
            .map_err(|error| reason(&error))?;
        let answer = client
            .get(format!("{}/health", run_file.url))
            .send()
            .await
            .map_err(|error| reason(&error))?;
        let text = body(answer).await?;
        match serde_json::from_str(&text) {
            Ok(Health { status }) if status == "alive" => Ok(Self {
                client,
                url: run_file.url,
                token: run_file.token,
            }),
            Ok(_) | Err(_) => Err("something else answers there".into()),
        }
    }

    pub(crate) async fn send(&self, request: Request) -> Result<(StatusCode, String), CommandError> {
        let broken_off = |reason| CommandError::BrokenOff {
            url: self.url.clone(),
            reason,
        };
        let mut builder = self
            .client
            .request(request.method, format!("{}{}", self.url, request.path_and_query))
            .bearer_auth(self.token.expose_secret())
            .header(OPERATOR, operator());
        if let Some(body) = request.body {
            builder = builder.header(CONTENT_TYPE, "application/json").body(body);
        }
        let answer = builder.send().await.map_err(|error| broken_off(reason(&error)))?;
        let status = answer.status();
        Ok((status, body(answer).await.map_err(broken_off)?))
    }
}

#[derive(Deserialize)]
struct Health {
    status: String,
}

async fn body(mut answer: Response) -> Result<String, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| reason(&error))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > LONGEST_ANSWER {
            return Err("the answer is too long".into());
        }
    }
    String::from_utf8(bytes).map_err(|_| "the answer is no text".into())
}

/// The innermost cause says most: "Connection refused" rather than "error sending request".
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {} s", DEADLINE.as_secs());
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let text = innermost.to_string();
    // The library's own text may quote the URL, which says nothing new.
    if error.source().is_some() {
        text
    } else {
        "the request failed".into()
    }
}
