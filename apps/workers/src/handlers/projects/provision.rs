//! `projects`/`provision`: gives a new project what every project begins with.

use aftercommit_domain::reference::ReferencePorts;
use aftercommit_domain::reference::projects::ProvisionProject;
use aftercommit_domain::reference::projects::use_cases::provision_project;
use aftercommit_domain::tasks::{TaskContext, TaskHandler, TaskResult};
use async_trait::async_trait;

/// Nothing but the use case, which changes nothing when it is run again.
pub(crate) struct ProvisionProjectHandler {
    reference: ReferencePorts,
}

impl ProvisionProjectHandler {
    pub(crate) const fn new(reference: ReferencePorts) -> Self {
        Self { reference }
    }
}

#[async_trait]
impl TaskHandler<ProvisionProject> for ProvisionProjectHandler {
    async fn handle(&self, task: ProvisionProject, ctx: &TaskContext) -> TaskResult {
        Ok(provision_project(&self.reference, ctx.cause(), &task).await?.into())
    }
}
