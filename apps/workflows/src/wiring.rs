//! Temporal as the engine of an application.

use std::sync::Arc;

use aftercommit::config::{ConfigError, ConfigErrors, TemporalSettings};
use aftercommit::domain::time::Clock;
use aftercommit::workflows::{
    WorkersState, WorkflowEngine, WorkflowQuerier, WorkflowRegistry, WorkflowStarter, WorkflowWorkers,
};
use aftercommit::{Aftercommit, StartupError};
use aftercommit_platform_workflows_temporal::{
    ClientCertificate, Temporal, TemporalConfig, TemporalConfigError, TemporalWorker, Tls, WorkerHealth,
};
use async_trait::async_trait;

/// Adds Temporal to `application`: its engine when `TEMPORAL_ADDRESS` says where it is.
pub fn with_temporal(application: Aftercommit) -> Aftercommit {
    #[cfg(feature = "failpoints")]
    aftercommit::failpoints::plug_in(aftercommit_platform_workflows_temporal::failpoints::POINTS);
    application.workflow_engine(engine)
}

/// That there is nothing to run workflows on.
pub(crate) fn no_address() -> StartupError {
    let error = ConfigError::new("TEMPORAL_ADDRESS", "is not given, and workflows run on nothing else");
    ConfigErrors::from(error.expected("host:port, such as 127.0.0.1:7233")).into()
}

struct TemporalEngine {
    temporal: Temporal,
    place: String,
}

/// Temporal as these settings say. Connects at the first call.
///
/// # Errors
/// A file cannot be read, or Temporal cannot be meant so.
pub fn engine(settings: &TemporalSettings) -> Result<Arc<dyn WorkflowEngine>, StartupError> {
    let pem = settings.load()?;
    let refused = |error: TemporalConfigError| StartupError::WorkflowEngine(error.to_string());
    let tls = settings.tls.as_ref().map(|tls| Tls {
        authorities: pem.ca,
        server_name: tls.server_name.clone(),
        client: pem
            .client
            .map(|(certificate, key)| ClientCertificate { certificate, key }),
    });
    let config = TemporalConfig::new(&settings.url(), settings.api_key.clone(), tls)
        .and_then(|config| config.namespace(&settings.namespace))
        .and_then(|config| config.task_queue(&settings.task_queue))
        .map_err(refused)?;
    Ok(Arc::new(TemporalEngine {
        temporal: Temporal::new(config),
        place: format!(
            "Temporal at {}, namespace {}, task queue {}",
            settings.url(),
            settings.namespace,
            settings.task_queue
        ),
    }))
}

#[async_trait]
impl WorkflowEngine for TemporalEngine {
    fn starter(&self) -> Arc<dyn WorkflowStarter> {
        Arc::new(self.temporal.clone())
    }

    fn querier(&self) -> Arc<dyn WorkflowQuerier> {
        Arc::new(self.temporal.clone())
    }

    fn place(&self) -> String {
        self.place.clone()
    }

    async fn check(&self) -> Result<(), String> {
        self.temporal.check().await
    }

    fn host(
        &self,
        registry: WorkflowRegistry,
        clock: Arc<dyn Clock>,
    ) -> Result<Box<dyn WorkflowWorkers>, StartupError> {
        let worker = self.temporal.start_worker(registry, clock);
        let worker = worker.map_err(|error| StartupError::WorkflowEngine(error.to_string()))?;
        Ok(Box::new(Workers(worker)))
    }
}

struct Workers(TemporalWorker);

#[async_trait]
impl WorkflowWorkers for Workers {
    fn state(&self) -> WorkersState {
        match self.0.health() {
            WorkerHealth::Starting => WorkersState::Starting,
            WorkerHealth::Running => WorkersState::Running,
            WorkerHealth::Failing(reason) => WorkersState::Failing(reason),
            WorkerHealth::Stopped => WorkersState::Failing("its thread has ended".to_owned()),
        }
    }

    async fn stop(self: Box<Self>) {
        self.0.stop().await;
    }
}
