//! The workflow engine in memory keeps every sentence of the workflow ports, and finds what workflows must not do.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test are tests themselves: what cannot be unwrapped fails them"
)]

mod order;
mod trials;

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::EnvelopeFactory;
use aftercommit_domain::workflows::{WorkflowQuerier, WorkflowRegistry, WorkflowStarter};
use aftercommit_testkit::conformance::workflows::WorkflowEnvironment;
use aftercommit_testkit::{InMemoryWorkflows, test_services};

struct Memory(InMemoryWorkflows);

impl WorkflowEnvironment for Memory {
    async fn start(registry: WorkflowRegistry, _: &EnvelopeFactory) -> Self {
        Self(InMemoryWorkflows::new(registry, &test_services()))
    }

    fn starter(&self) -> Arc<dyn WorkflowStarter> {
        Arc::new(self.0.clone())
    }

    fn querier(&self) -> Arc<dyn WorkflowQuerier> {
        Arc::new(self.0.clone())
    }

    async fn pass(&self, time: Duration) {
        self.0.advance(time).await;
    }

    async fn moment(&self) {
        self.0.moment().await;
    }

    async fn crash(&self) {
        self.0.crash();
    }

    async fn deploy(&self, registry: WorkflowRegistry) {
        self.0.deploy(registry);
    }

    async fn stop(self) {}
}

aftercommit_testkit::workflows_conformance!(Memory);
