//! Sending webhooks over HTTP.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::effects::{
    IdempotencyKey, WebhookAnswer, WebhookError, WebhookNetwork, WebhookRequest, WebhookSender,
};
use aftercommit_domain::time::Clock;
use async_trait::async_trait;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::{Position, Url};

use crate::answer;
use crate::connection::{self, Route};
use crate::name_lookup::{NameLookup, SystemNameLookup};
use crate::tls::{self, NoAuthorities};

/// How a receiver tells who calls.
const AGENT: &str = concat!("Aftercommit-Webhooks/", env!("CARGO_PKG_VERSION"));

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Sends webhooks over HTTP/1.1, one connection each.
pub struct HttpWebhookSender {
    network: WebhookNetwork,
    timeouts: WebhookTimeouts,
    names: Arc<dyn NameLookup>,
    tls: TlsConnector,
    clock: Arc<dyn Clock>,
}

/// How long a sender waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookTimeouts {
    /// For the look-up of the name, the connection and TLS together. Defaults to 5 s.
    pub connect: Duration,
    /// For one message as a whole. Defaults to 10 s.
    pub whole: Duration,
}

impl Default for WebhookTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            whole: Duration::from_secs(10),
        }
    }
}

impl HttpWebhookSender {
    /// A sender into this network that trusts the certificate authorities of the machine. `clock` tells how far away a date
    /// in a `Retry-After` is.
    ///
    /// # Errors
    /// [`NoAuthorities`] where the machine trusts none: nothing could be sent.
    pub fn new(network: WebhookNetwork, clock: Arc<dyn Clock>) -> Result<Self, NoAuthorities> {
        Ok(Self::with_tls(network, clock, tls::of_the_machine()?))
    }

    /// A sender that trusts these authorities only, each in PEM.
    ///
    /// # Errors
    /// [`NoAuthorities`] when one cannot be read.
    pub fn trusting(network: WebhookNetwork, clock: Arc<dyn Clock>, authorities: &str) -> Result<Self, NoAuthorities> {
        Ok(Self::with_tls(network, clock, tls::of(authorities)?))
    }

    fn with_tls(network: WebhookNetwork, clock: Arc<dyn Clock>, tls: TlsConnector) -> Self {
        Self {
            network,
            timeouts: WebhookTimeouts::default(),
            names: Arc::new(SystemNameLookup),
            tls,
            clock,
        }
    }

    /// The same with these deadlines.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: WebhookTimeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// The same with another way to look names up.
    #[must_use]
    pub fn with_names(mut self, names: Arc<dyn NameLookup>) -> Self {
        self.names = names;
        self
    }

    async fn exchange(&self, url: &Url, request: Request<Full<Bytes>>) -> Result<WebhookAnswer, WebhookError> {
        let route = Route {
            url,
            network: self.network,
            names: &*self.names,
            tls: &self.tls,
        };
        let connect = self.timeouts.connect;
        let stream = timeout(connect, connection::open(&route))
            .await
            .map_err(|_| WebhookError::Unreachable {
                reason: format!("no connection within {connect:?}"),
            })??;
        answer::of(stream, request, &*self.clock).await
    }
}

#[async_trait]
impl WebhookSender for HttpWebhookSender {
    async fn send(&self, request: WebhookRequest, key: &IdempotencyKey) -> Result<WebhookAnswer, WebhookError> {
        // It may have been taken while more was allowed.
        request.url.check(self.network)?;
        let limit = self.timeouts.whole;
        let post = post(&request, key)?;
        timeout(limit, self.exchange(request.url.url(), post))
            .await
            .map_err(|_| WebhookError::TimedOut { limit })?
    }
}

fn post(request: &WebhookRequest, key: &IdempotencyKey) -> Result<Request<Full<Bytes>>, WebhookError> {
    let url = request.url.url();
    let path = &url[Position::BeforePath..Position::AfterQuery];
    let host = &url[Position::BeforeHost..Position::AfterPort];
    let text = |text: &str| HeaderValue::from_str(text).map_err(|_| unsendable());
    let mut post = Request::builder()
        .method(Method::POST)
        .uri(path)
        .body(Full::new(Bytes::from(request.body.clone())))
        .map_err(|_| unsendable())?;
    let headers = post.headers_mut();
    headers.insert(HOST, text(host)?);
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.insert(WEBHOOK_ID, text(key.as_str())?);
    headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(request.sent_at.timestamp()));
    headers.insert(WEBHOOK_SIGNATURE, text(&request.signature(key))?);
    Ok(post)
}

/// A checked URL and a key have nothing that a header cannot hold, so this does not happen; if it did, nothing was sent.
fn unsendable() -> WebhookError {
    WebhookError::Unreachable {
        reason: "the request cannot be written".into(),
    }
}

impl fmt::Debug for HttpWebhookSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpWebhookSender")
            .field("network", &self.network)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}
