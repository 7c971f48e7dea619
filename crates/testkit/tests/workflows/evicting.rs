//! Every scenario once more by an engine that keeps no code in memory: whatever a run is handed, it is run from its beginning.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::EnvelopeFactory;
use aftercommit_domain::workflows::{WorkflowQuerier, WorkflowRegistry, WorkflowStarter};
use aftercommit_testkit::conformance::workflows::WorkflowEnvironment;
use aftercommit_testkit::{InMemoryWorkflows, WorkflowFaults, test_services};

struct Evicting(InMemoryWorkflows);

impl WorkflowEnvironment for Evicting {
    async fn start(registry: WorkflowRegistry, _: &EnvelopeFactory) -> Self {
        let engine = InMemoryWorkflows::new(registry, &test_services());
        engine.set_faults(WorkflowFaults {
            evict_always: true,
            ..WorkflowFaults::default()
        });
        Self(engine)
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

aftercommit_testkit::workflows_conformance!(Evicting);
