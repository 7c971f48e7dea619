//! What runs workflows, as an application plugs it in.

use std::sync::Arc;

use aftercommit_domain::time::Clock;
use aftercommit_domain::workflows::{WorkflowQuerier, WorkflowRegistry, WorkflowStarter};
use async_trait::async_trait;

use crate::startup::StartupError;

/// An engine of workflows. It is reached when it is first needed, so that a process starts while it is away.
#[async_trait]
pub trait WorkflowEngine: Send + Sync {
    /// Starts workflows and tells them things.
    fn starter(&self) -> Arc<dyn WorkflowStarter>;

    /// Looks at workflows.
    fn querier(&self) -> Arc<dyn WorkflowQuerier>;

    /// Where it is, for people: an address and what stands there. Never a secret.
    fn place(&self) -> String;

    /// Asks whether it is there, and answers within seconds.
    ///
    /// # Errors
    /// Why not, in one sentence.
    async fn check(&self) -> Result<(), String>;

    /// Runs what is registered from now on, and waits by itself for an engine that is away. Called within a runtime, on
    /// which activities run.
    ///
    /// # Errors
    /// What does not pass by itself.
    fn host(&self, registry: WorkflowRegistry, clock: Arc<dyn Clock>)
    -> Result<Box<dyn WorkflowWorkers>, StartupError>;
}

/// What runs the workflows and activities of a process.
#[async_trait]
pub trait WorkflowWorkers: Send + Sync {
    /// How it fares.
    fn state(&self) -> WorkersState;

    /// Takes nothing new, lets what runs end within its grace, and ends.
    async fn stop(self: Box<Self>);
}

/// How what runs workflows fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkersState {
    /// It has not reached the engine yet.
    Starting,
    /// It takes what there is.
    Running,
    /// It takes nothing, for this reason, and tries again.
    Failing(String),
}
