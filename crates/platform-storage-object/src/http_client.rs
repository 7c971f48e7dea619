//! The HTTP client that S3 is reached with: HTTP/1.1 over rustls with ring, which `object_store` has no feature for.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::BodyExt as _;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as TcpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpResponseBody,
    HttpService,
};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a connection is kept that nobody uses: servers close theirs after some 20 s at the earliest.
const IDLE: Duration = Duration::from_secs(15);

/// Makes clients of one kind.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    tls: ClientConfig,
    /// From the first byte that is sent to the head of the answer.
    answer_within: Duration,
}

impl Connector {
    /// Trusts what the machine trusts.
    pub(crate) fn new(answer_within: Duration) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        // Without any authority plain HTTP still works, and TLS says what is missing.
        let _added = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls, answer_within })
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        let mut tcp = TcpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(self.tls.clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Ok(HttpClient::new(Service {
            client,
            answer_within: self.answer_within,
        }))
    }
}

#[derive(Debug)]
struct Service {
    client: Client<HttpsConnector<TcpConnector>, HttpRequestBody>,
    answer_within: Duration,
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = tokio::time::timeout(self.answer_within, self.client.request(request));
        let answer = answer.await.map_err(|_| {
            let late = format!("no answer within {} s", self.answer_within.as_secs_f32());
            HttpError::new(HttpErrorKind::Timeout, io::Error::other(late))
        })?;
        let answer = answer.map_err(|error| {
            let kind = if error.is_connect() {
                HttpErrorKind::Connect
            } else {
                kind_of(&error)
            };
            HttpError::new(kind, io::Error::other(chain(&error)))
        })?;
        let body = |error: hyper::Error| HttpError::new(kind_of(&error), io::Error::other(chain(&error)));
        Ok(answer.map(|content| HttpResponseBody::new(content.map_err(body))))
    }
}

/// What it was, as far as it decides whether it is worth another try.
fn kind_of(error: &(dyn Error + 'static)) -> HttpErrorKind {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<hyper::Error>()
            && (error.is_closed()
                || error.is_canceled()
                || error.is_incomplete_message()
                || error.is_body_write_aborted())
        {
            return HttpErrorKind::Request;
        }
        if error.is::<io::Error>() {
            return HttpErrorKind::Interrupted;
        }
        next = error.source();
    }
    HttpErrorKind::Unknown
}

/// The whole story: the outermost error only says that there was one.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}
