//! `projects`/`provision` where there is an engine: starts the workflow that provisions a new project.

use aftercommit_domain::reference::ReferencePorts;
use aftercommit_domain::reference::projects::ProvisionProject;
use aftercommit_domain::reference::workflows::start_project_provisioning;
use aftercommit_domain::tasks::{TaskContext, TaskHandler, TaskResult};
use async_trait::async_trait;

/// Nothing but the use case. Run again, it asks for a workflow under the same key, which the engine refuses while it runs.
pub(crate) struct StartProvisioningHandler {
    reference: ReferencePorts,
}

impl StartProvisioningHandler {
    pub(crate) const fn new(reference: ReferencePorts) -> Self {
        Self { reference }
    }
}

#[async_trait]
impl TaskHandler<ProvisionProject> for StartProvisioningHandler {
    async fn handle(&self, task: ProvisionProject, ctx: &TaskContext) -> TaskResult {
        Ok(start_project_provisioning(&self.reference, ctx.cause(), &task)
            .await?
            .into())
    }
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::tasks::Outcome;

    use super::*;
    use crate::handlers::scene::{Scene, skipped_because};

    #[tokio::test]
    async fn a_new_project_gets_its_workflow_and_one_that_is_gone_none() {
        let scene = Scene::new().await;
        let handler = StartProvisioningHandler::new(scene.harness.ports.clone());
        let task = ProvisionProject {
            organization_id: scene.caller.organization_id.clone(),
            project_id: scene.make_project("New").await,
        };
        scene.harness.take_tasks().await;
        assert_eq!(scene.context().run(&handler, &task).await, Ok(Outcome::Completed));
        let id = format!(
            "{}/{}/project-provisioning/{}",
            task.organization_id, task.project_id, task.project_id
        );
        assert_eq!(scene.started_workflows().await, [id]);
        scene.delete_project(&task.project_id).await;
        scene.harness.take_tasks().await;
        let gone = scene.context().run(&handler, &task).await;
        assert_eq!(gone, skipped_because("the project is gone"));
        assert_eq!(scene.started_workflows().await, [""; 0]);
    }
}
