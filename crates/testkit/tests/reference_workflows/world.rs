//! A product with one organization, and the engine that runs its workflows.

use std::future::Future;
use std::sync::Arc;

use aftercommit_domain::contract::{Cause, ProjectId, Tenant};
use aftercommit_domain::effects::ObjectStorage;
use aftercommit_domain::reference::identity::use_cases::authenticate;
use aftercommit_domain::reference::organizations::use_cases::{CreateOrganization, create_organization};
use aftercommit_domain::reference::workflows::{WorkflowPorts, reference_workflows};
use aftercommit_domain::reference::{Caller, ReferenceUnitOfWork, RequestContext, UserId};
use aftercommit_domain::workflows::{StartRequest, WorkflowEnd, WorkflowRegistry, WorkflowRequest, WorkflowStarter};
use aftercommit_testkit::reference::{RecordingBillingProvider, RecordingProjectServices, ReferenceHarness};
use aftercommit_testkit::{InMemoryObjectStorage, InMemoryWorkflows, TestServices, test_services};
use futures::FutureExt as _;

/// A product with the organization "Acme".
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) harness: ReferenceHarness,
    pub(crate) billing: Arc<RecordingBillingProvider>,
    pub(crate) services: Arc<RecordingProjectServices>,
    pub(crate) storage: InMemoryObjectStorage,
    pub(crate) export_part_bytes: usize,
    pub(crate) caller: Caller,
    /// Who made the organization.
    pub(crate) owner: UserId,
}

/// What memory answers at once.
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    future.now_or_never().unwrap()
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(&test_services())
    }

    pub(crate) fn with(services: &TestServices) -> Self {
        let harness = ReferenceHarness::with_services(services.clone());
        let input = CreateOrganization {
            name: "Acme".into(),
            owner_email: "owner@acme.test".into(),
        };
        let made = now(create_organization(&harness.ports, &RequestContext::default(), input)).unwrap();
        let caller = now(authenticate(&harness.ports, &made.api_key)).unwrap().unwrap();
        now(harness.take_tasks());
        Self {
            storage: InMemoryObjectStorage::new(services.clock_port()),
            // Every page is a part.
            export_part_bytes: 1,
            harness,
            billing: Arc::default(),
            services: Arc::default(),
            caller,
            owner: made.user_id,
        }
    }

    pub(crate) fn registry(&self) -> WorkflowRegistry {
        self.registry_with(Arc::new(self.storage.clone()))
    }

    pub(crate) fn registry_with(&self, storage: Arc<dyn ObjectStorage>) -> WorkflowRegistry {
        let ports = WorkflowPorts {
            reference: self.harness.ports.clone(),
            billing: self.billing.clone(),
            services: self.services.clone(),
            storage,
            export_part_bytes: self.export_part_bytes,
        };
        reference_workflows(self.harness.services.codec.clone(), &ports).unwrap()
    }

    pub(crate) fn engine(&self) -> InMemoryWorkflows {
        InMemoryWorkflows::new(self.registry(), &self.harness.services)
    }

    pub(crate) fn tenant(&self) -> Tenant {
        self.caller.tenant_of(&self.caller.project_id)
    }

    pub(crate) fn unit(&self) -> Box<dyn ReferenceUnitOfWork> {
        self.unit_of(&self.tenant())
    }

    pub(crate) fn unit_of(&self, tenant: &Tenant) -> Box<dyn ReferenceUnitOfWork> {
        now(self.harness.ports.units.begin(tenant, &Cause::root())).unwrap()
    }

    /// What the transactions since the last call asked workflows for.
    pub(crate) fn requests(&self) -> Vec<WorkflowRequest> {
        let tasks = now(self.harness.take_tasks());
        tasks
            .iter()
            .map(|task| WorkflowRequest::from_task(task).unwrap())
            .collect()
    }

    /// The one start that was asked for since the last call.
    pub(crate) fn start_request(&self) -> StartRequest {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        match requests.pop() {
            Some(WorkflowRequest::Start(start)) => start,
            other => panic!("no start: {other:?}"),
        }
    }

    /// Runs the workflow to its end.
    pub(crate) async fn run(&self, start: StartRequest) -> WorkflowEnd {
        let (engine, id) = (self.engine(), start.id.clone());
        engine.start(start).await.unwrap();
        let description = engine.run_to_end(&id).await.unwrap();
        description.end.clone().unwrap_or_else(|| panic!("{description:?}"))
    }

    pub(crate) fn is_provisioned(&self, project: &ProjectId) -> bool {
        let project = now(self.unit().projects().find(project)).unwrap().unwrap();
        project.provisioned_at.is_some()
    }
}
