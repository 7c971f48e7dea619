//! Aftercommit's workflows on Temporal, with the official SDK.
//!
//! A workspace of its own: the SDK takes minutes to compile, which nobody pays who does not want Temporal. Its tests are
//! the pass `temporal` of `cargo xtask test`.

#![warn(missing_docs)]

#[macro_use]
mod failpoint;

#[cfg(feature = "failpoints")]
pub mod failpoints;

mod call;
mod config;
mod connection;
mod failure;
#[cfg(test)]
mod golden;
mod history;
mod payload;
mod problem;
mod querier;
mod replay;
mod starter;
mod worker;
mod workflow_metrics;

use std::sync::Arc;

use aftercommit_domain::time::Clock;
use aftercommit_domain::workflows::WorkflowRegistry;

pub use config::{ClientCertificate, TemporalConfig, TemporalConfigError, Tls};
pub use replay::{ReplayError, replay};
pub use worker::{TemporalWorker, WorkerHealth, WorkerStartError};

use connection::TemporalConnection;

/// Workflows on one namespace and one task queue of a Temporal server.
#[derive(Debug, Clone)]
pub struct Temporal {
    connection: Arc<TemporalConnection>,
}

impl Temporal {
    /// Connects to nothing yet.
    pub fn new(config: TemporalConfig) -> Self {
        workflow_metrics::describe();
        Self {
            connection: Arc::new(TemporalConnection::new(config)),
        }
    }

    /// Whether the server answers and has the namespace; `Err` says why not, in one sentence.
    pub async fn check(&self) -> Result<(), String> {
        let checked = async {
            let client = self.connection.client().await?;
            connection::namespace_is_there(&client, self.config()).await
        };
        checked.await.map_err(|error| error.to_string())
    }

    /// Runs these workflows and activities from now on, on a thread of its own and, the activities, on the runtime that
    /// this is called in. Several processes may do so: the server shares the work among them.
    pub fn start_worker(
        &self,
        registry: WorkflowRegistry,
        clock: Arc<dyn Clock>,
    ) -> Result<TemporalWorker, WorkerStartError> {
        TemporalWorker::start(self.connection.config.clone(), registry, clock)
    }

    pub(crate) fn config(&self) -> &TemporalConfig {
        &self.connection.config
    }
}
