//! The database file, opened here because no process has it; the same API answers, without a socket.

use aftercommit::config::Settings;
use aftercommit::http::admin_router;
use aftercommit::{Opened, StartupError};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{self, StatusCode};
use secrecy::SecretString;
use tower::ServiceExt as _;

use crate::admin_client::{DEADLINE, LONGEST_ANSWER, OPERATOR, Request, operator};
use crate::command_error::CommandError;
use crate::wiring;

/// Nobody but this process can reach the router, so its token keeps nobody out.
const TOKEN: &str = "in-process";

pub(crate) struct OpenedFile {
    opened: Opened,
    router: Router,
}

impl OpenedFile {
    pub(crate) async fn open(settings: Settings) -> Result<Self, StartupError> {
        let opened = wiring::application().open_for_operators(settings).await?;
        let router = admin_router(opened.operations().clone(), SecretString::from(TOKEN));
        Ok(Self { opened, router })
    }

    pub(crate) async fn send(&self, request: Request) -> Result<(StatusCode, String), CommandError> {
        let unexpected = |reason: String| CommandError::Unexpected(reason);
        let request = http::Request::builder()
            .method(request.method)
            .uri(request.path_and_query)
            .header(AUTHORIZATION, format!("Bearer {TOKEN}"))
            .header(CONTENT_TYPE, "application/json")
            .header(OPERATOR, operator())
            .body(request.body.map_or_else(Body::empty, Body::from))
            .map_err(|error| unexpected(error.to_string()))?;
        let exchange = async {
            // The router cannot fail: its error type has no values.
            let response = self
                .router
                .clone()
                .oneshot(request)
                .await
                .unwrap_or_else(|never| match never {});
            let status = response.status();
            let bytes = to_bytes(response.into_body(), LONGEST_ANSWER)
                .await
                .map_err(|error| error.to_string())?;
            let text = String::from_utf8(bytes.into()).map_err(|error| error.to_string())?;
            Ok((status, text))
        };
        match tokio::time::timeout(DEADLINE, exchange).await {
            Ok(answer) => answer.map_err(unexpected),
            Err(_) => Err(CommandError::BrokenOff {
                url: "the database".into(),
                reason: format!("no answer within {} s", DEADLINE.as_secs()),
            }),
        }
    }

    pub(crate) async fn close(self) {
        self.opened.close().await;
    }
}
