//! `project-provisioning`: opens what a project uses outside the product, or leaves nothing of it open.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::contract::{ActivityName, OrganizationId, ProjectId};
use crate::reference::projects::use_cases::mark_provisioned;
use crate::reference::projects::{ProjectService, ProvisionProject};
use crate::reference::workflows::WorkflowPorts;
use crate::reference::workflows::compensation::after_undoing;
use crate::workflows::{
    Activity, ActivityContext, ActivityError, ActivityOptions, Exit, StepError, Workflow, WorkflowContext,
    WorkflowFailure, WorkflowInput,
};

/// Provisions a project, whose id is the workflow's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, WorkflowInput)]
#[workflow(name = "project-provisioning", version = 1)]
pub struct ProjectProvisioning {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project.
    pub project_id: ProjectId,
}

/// The code of `project-provisioning`.
pub struct ProvisioningProject;

#[async_trait]
impl Workflow for ProvisioningProject {
    type Input = ProjectProvisioning;
    type Output = ();

    async fn run(&self, ctx: &WorkflowContext, input: ProjectProvisioning) -> Result<(), Exit> {
        let mut opened = Vec::new();
        let Err(error) = provision(ctx, &input, &mut opened).await else {
            return Ok(());
        };
        let (ctx, mut undone) = (ctx.detached(), Ok(()));
        // One that cannot be undone does not keep the others from it.
        while let Some(service) = opened.pop() {
            let close = ServiceOfProject::new(&input, service);
            let closed = ctx.activity::<CloseProjectService>(&close, again_and_again()).await;
            undone = undone.and(closed);
        }
        Err(after_undoing(error, undone))
    }
}

async fn provision(
    ctx: &WorkflowContext,
    input: &ProjectProvisioning,
    opened: &mut Vec<ProjectService>,
) -> Result<(), StepError> {
    for service in [
        ProjectService::Storage,
        ProjectService::Search,
        ProjectService::Metering,
    ] {
        // Before it is asked for: one that failed may be open all the same.
        opened.push(service);
        let open = ServiceOfProject::new(input, service);
        ctx.activity::<OpenProjectService>(&open, ActivityOptions::attempts(10))
            .await?;
    }
    // From here on it is provisioned or it is gone: a cancellation comes too late, and must not leave it between the two.
    let ctx = ctx.detached();
    if ctx.activity::<MarkProjectProvisioned>(input, again_and_again()).await? {
        return Ok(());
    }
    Err(WorkflowFailure::permanent("project.gone", "the project was deleted while it was provisioned").into())
}

/// What was begun must not stay half done: people look after it sooner than it gives up.
fn again_and_again() -> ActivityOptions {
    ActivityOptions::attempts(1000)
}

/// A service of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ServiceOfProject {
    organization_id: OrganizationId,
    project_id: ProjectId,
    service: ProjectService,
}

impl ServiceOfProject {
    fn new(input: &ProjectProvisioning, service: ProjectService) -> Self {
        Self {
            organization_id: input.organization_id.clone(),
            project_id: input.project_id.clone(),
            service,
        }
    }
}

/// Opens a service.
pub(super) struct OpenProjectService(pub(super) WorkflowPorts);

#[async_trait]
impl Activity for OpenProjectService {
    const NAME: ActivityName = ActivityName::constant("open-project-service");
    type Input = ServiceOfProject;
    type Output = ();

    async fn run(&self, of: ServiceOfProject, ctx: &ActivityContext) -> Result<(), ActivityError> {
        let key = ctx.idempotency_key();
        Ok(self.0.services.open(ctx.tenant(), of.service, &key).await?)
    }
}

/// Closes a service, or finds it closed.
pub(super) struct CloseProjectService(pub(super) WorkflowPorts);

#[async_trait]
impl Activity for CloseProjectService {
    const NAME: ActivityName = ActivityName::constant("close-project-service");
    type Input = ServiceOfProject;
    type Output = ();

    async fn run(&self, of: ServiceOfProject, ctx: &ActivityContext) -> Result<(), ActivityError> {
        let key = ctx.idempotency_key();
        Ok(self.0.services.close(ctx.tenant(), of.service, &key).await?)
    }
}

/// Marks the project provisioned. Answers whether it is, which it is not when it was deleted.
pub(super) struct MarkProjectProvisioned(pub(super) WorkflowPorts);

#[async_trait]
impl Activity for MarkProjectProvisioned {
    const NAME: ActivityName = ActivityName::constant("mark-project-provisioned");
    type Input = ProjectProvisioning;
    type Output = bool;

    async fn run(&self, input: ProjectProvisioning, ctx: &ActivityContext) -> Result<bool, ActivityError> {
        let task = ProvisionProject {
            organization_id: input.organization_id,
            project_id: input.project_id,
        };
        Ok(mark_provisioned(&self.0.reference, ctx.cause(), &task).await?)
    }
}
