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

#[cfg(test)]
mod tests {
    use aftercommit_domain::tasks::Outcome;

    use super::*;
    use crate::handlers::scene::{Scene, skipped_because};

    #[tokio::test]
    async fn a_project_is_provisioned_once() {
        let scene = Scene::new().await;
        let handler = ProvisionProjectHandler::new(scene.harness.ports.clone());
        let task = ProvisionProject {
            organization_id: scene.caller.organization_id.clone(),
            project_id: scene.make_project("New").await,
        };
        assert_eq!(scene.context().run(&handler, &task).await, Ok(Outcome::Completed));
        let again = scene.context().run(&handler, &task).await;
        assert_eq!(again, skipped_because("the project was provisioned already"));
        scene.delete_project(&task.project_id).await;
        let gone = scene.context().run(&handler, &task).await;
        assert_eq!(gone, skipped_because("the project is gone"));
    }
}
