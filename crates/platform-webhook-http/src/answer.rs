//! What the receiver answers, and what it means.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aftercommit_domain::effects::{WebhookAnswer, WebhookError, retry_after};
use aftercommit_domain::time::Clock;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::RETRY_AFTER;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

use crate::connection::Stream;
use crate::metered::Metered;

/// The longest body of an answer that is taken, in bytes.
pub const MAX_ANSWER_BODY: usize = 64 * 1024;

/// The most that is read of an answer, in bytes: interim answers, headers, body and how it is cut into chunks.
pub const MAX_ANSWER: usize = 128 * 1024;

/// The most headers an answer may have.
const MAX_HEADERS: usize = 100;

/// The most that is kept of an answer that is not understood yet, in bytes.
const MAX_HEAD: usize = 32 * 1024;

/// Sends `request` and reads what is answered. The caller sets the deadline.
pub(crate) async fn of(
    stream: Box<dyn Stream>,
    request: Request<Full<Bytes>>,
    clock: &dyn Clock,
) -> Result<WebhookAnswer, WebhookError> {
    let (stream, is_over) = Metered::new(stream, MAX_ANSWER);
    let (mut sender, connection) = http1::Builder::new()
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| no_answer(&error, &is_over))?;
    let exchange = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| no_answer(&error, &is_over))?;
        read(response, clock, &is_over).await
    };
    let (mut exchange, mut connection) = (pin!(exchange), pin!(connection));
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        // The connection is what makes the exchange go on; when it is over, so is the exchange, with what it has.
        _ = &mut connection => exchange.await,
    }
}

async fn read(
    mut response: Response<Incoming>,
    clock: &dyn Clock,
    is_over: &Arc<AtomicBool>,
) -> Result<WebhookAnswer, WebhookError> {
    let status = response.status();
    if !status.is_success() {
        let asked = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok());
        let asked = asked.and_then(|text| retry_after(text, clock.now()));
        return Err(WebhookError::of_status(status.as_u16(), asked));
    }
    let body = response.body_mut();
    let mut read = body.size_hint().lower();
    let longest = MAX_ANSWER_BODY as u64;
    if read <= longest {
        read = 0;
        // Thrown away part by part: only that it ends is of interest.
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| no_answer(&error, is_over))?;
            read = read.saturating_add(frame.data_ref().map_or(0, |data| data.len() as u64));
            if read > longest {
                break;
            }
        }
    }
    if read > longest {
        return Err(WebhookError::AnswerTooLong { limit: MAX_ANSWER_BODY });
    }
    Ok(WebhookAnswer {
        status: status.as_u16(),
    })
}

/// Why there is no answer. What hyper says of an answer it does not understand repeats none of it.
fn no_answer(error: &hyper::Error, is_over: &AtomicBool) -> WebhookError {
    if is_over.load(Ordering::Relaxed) || error.is_parse_too_large() {
        return WebhookError::AnswerTooLong { limit: MAX_ANSWER };
    }
    let source = std::error::Error::source(error).map(|source| format!(": {source}"));
    WebhookError::NoAnswer {
        reason: format!("{error}{}", source.unwrap_or_default()),
    }
}
