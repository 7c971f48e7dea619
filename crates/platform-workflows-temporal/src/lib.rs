//! Aftercommit's workflows on Temporal, with the official SDK.
//!
//! A workspace of its own: the SDK takes minutes to compile, which nobody pays who does not want Temporal. Its tests are
//! the pass `temporal` of `cargo xtask test`.

#![warn(missing_docs)]

mod config;
mod connection;

use std::sync::Arc;

pub use config::{ClientCertificate, TemporalConfig, TemporalConfigError, Tls};

use connection::TemporalConnection;

/// Workflows on one namespace and one task queue of a Temporal server.
#[derive(Debug, Clone)]
pub struct Temporal {
    connection: Arc<TemporalConnection>,
}

impl Temporal {
    /// Connects to nothing yet.
    pub fn new(config: TemporalConfig) -> Self {
        Self {
            connection: Arc::new(TemporalConnection::new(config)),
        }
    }

    /// Whether the server answers; `Err` says why not, in one sentence.
    pub async fn check(&self) -> Result<(), String> {
        self.connection
            .client()
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    }
}
