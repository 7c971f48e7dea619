//! The connection to the server, made when it is first needed.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use secrecy::ExposeSecret;
use temporalio_client::grpc::WorkflowService;
use temporalio_client::{
    Client, ClientOptions, ClientTlsOptions, Connection, ConnectionOptions, RetryOptions, TlsOptions,
};
use temporalio_common::protos::temporal::api::workflowservice::v1::DescribeNamespaceRequest;
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tonic::IntoRequest;

use crate::config::{TemporalConfig, Tls};

/// How long it may take to reach the server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes the connection at the first call, and again at the next after it failed. A connection that was there once is
/// made again by itself.
#[derive(Debug)]
pub(crate) struct TemporalConnection {
    pub(crate) config: TemporalConfig,
    client: Mutex<Option<ClientOfHere>>,
    /// The namespace has no search attributes of ours.
    pub(crate) has_no_attributes: AtomicBool,
}

struct ClientOfHere(Client);

impl std::fmt::Debug for ClientOfHere {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

/// The server is not to be reached, or does not speak as expected.
#[derive(Debug, Clone, Error)]
#[error("Temporal is not to be reached: {0}")]
pub(crate) struct NotConnected(String);

impl TemporalConnection {
    pub(crate) fn new(config: TemporalConfig) -> Self {
        Self {
            config,
            client: Mutex::new(None),
            has_no_attributes: AtomicBool::new(false),
        }
    }

    /// The client, connected. One caller at a time connects, and the others wait for it.
    pub(crate) async fn client(&self) -> Result<Client, NotConnected> {
        let mut client = self.client.lock().await;
        if let Some(ClientOfHere(client)) = &*client {
            return Ok(client.clone());
        }
        // One repetition, because the connection may be one that the server has just left.
        let retry = RetryOptions::builder()
            .max_elapsed_time(Some(Duration::from_secs(2)))
            .max_retries(3)
            .build();
        let connected = connect(&self.config, retry).await?;
        *client = Some(ClientOfHere(connected.clone()));
        Ok(connected)
    }
}

/// A connection of its own.
pub(crate) async fn connect(config: &TemporalConfig, retry: RetryOptions) -> Result<Client, NotConnected> {
    let options = ConnectionOptions::new(config.target().clone())
        .identity(config.identity.clone())
        .connect_timeout(CONNECT_TIMEOUT)
        .retry_options(retry)
        .maybe_api_key(config.api_key().map(|key| key.expose_secret().to_owned()))
        .maybe_tls_options(config.tls().map(tls_options))
        .build();
    // It also asks the server what it can do, which takes as long as the server likes.
    let connection = timeout(CONNECT_TIMEOUT * 2, Connection::connect(options))
        .await
        .map_err(|_elapsed| NotConnected("it does not answer".to_owned()))?
        .map_err(|error| NotConnected(error.to_string()))?;
    Client::new(connection, ClientOptions::new(config.namespace.clone()).build())
        .map_err(|error| NotConnected(error.to_string()))
}

/// Asks the server for the namespace.
pub(crate) async fn namespace_is_there(client: &Client, config: &TemporalConfig) -> Result<(), NotConnected> {
    let request = DescribeNamespaceRequest {
        namespace: config.namespace.clone(),
        ..DescribeNamespaceRequest::default()
    };
    let mut client = client.clone();
    let asked = WorkflowService::describe_namespace(&mut client, request.into_request());
    match timeout(CONNECT_TIMEOUT, asked).await {
        Ok(Ok(_described)) => Ok(()),
        Ok(Err(status)) => Err(NotConnected(format!(
            "namespace {}: {}",
            config.namespace,
            status.message()
        ))),
        Err(_elapsed) => Err(NotConnected("it does not answer".to_owned())),
    }
}

fn tls_options(tls: &Tls) -> TlsOptions {
    let client = tls.client.as_ref().map(|client| {
        ClientTlsOptions::builder()
            .client_cert(client.certificate.clone().into_bytes())
            .client_private_key(client.key.expose_secret().as_bytes().to_vec())
            .build()
    });
    TlsOptions::builder()
        .maybe_server_root_ca_cert(tls.authorities.as_ref().map(|pem| pem.clone().into_bytes()))
        .maybe_domain(tls.server_name.clone())
        .maybe_client_tls_options(client)
        .build()
}
