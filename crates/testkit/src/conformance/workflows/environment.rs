//! What the scenarios of workflows need of an engine.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::EnvelopeFactory;
use aftercommit_domain::workflows::{WorkflowQuerier, WorkflowRegistry, WorkflowStarter};

/// A workflow engine with a worker, fresh and empty, as the scenarios see it. An engine in memory lets its own time pass; one
/// that is a server waits in real time. No scenario needs more than a few seconds of it.
pub trait WorkflowEnvironment: Sized + Send + Sync {
    /// Starts an engine, and a worker that runs `registry`. `envelopes` makes what it is asked for.
    fn start(registry: WorkflowRegistry, envelopes: &EnvelopeFactory) -> impl Future<Output = Self> + Send;

    /// Starts workflows and tells them things.
    fn starter(&self) -> Arc<dyn WorkflowStarter>;

    /// Looks at workflows.
    fn querier(&self) -> Arc<dyn WorkflowQuerier>;

    /// Lets this much time pass, and everything happen that is due by then.
    fn pass(&self, time: Duration) -> impl Future<Output = ()> + Send;

    /// Lets a moment pass: whoever waits for something looks again afterwards. In memory, until the next thing is due.
    fn moment(&self) -> impl Future<Output = ()> + Send;

    /// The worker dies in the middle of whatever it does, and another one takes over.
    fn crash(&self) -> impl Future<Output = ()> + Send;

    /// The worker is replaced by one that runs another build.
    fn deploy(&self, registry: WorkflowRegistry) -> impl Future<Output = ()> + Send;

    /// Ends it.
    fn stop(self) -> impl Future<Output = ()> + Send;
}
