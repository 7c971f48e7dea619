//! `digests`/`run-for-project`: counts the week of a project.

use aftercommit_domain::reference::ReferencePorts;
use aftercommit_domain::reference::digests::RunDigest;
use aftercommit_domain::reference::digests::use_cases::run_digest;
use aftercommit_domain::tasks::{TaskContext, TaskHandler, TaskResult};
use async_trait::async_trait;

/// Nothing but the use case: the digest, added if it is absent, and what tells of it are one transaction.
pub(crate) struct RunDigestHandler {
    reference: ReferencePorts,
}

impl RunDigestHandler {
    pub(crate) const fn new(reference: ReferencePorts) -> Self {
        Self { reference }
    }
}

#[async_trait]
impl TaskHandler<RunDigest> for RunDigestHandler {
    async fn handle(&self, task: RunDigest, ctx: &TaskContext) -> TaskResult {
        Ok(run_digest(&self.reference, ctx.cause(), &task).await?.into())
    }
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::contract::Cause;
    use aftercommit_domain::reference::digests::DigestGenerated;
    use aftercommit_domain::tasks::Outcome;
    use aftercommit_domain::time::{after, days};

    use super::*;
    use crate::handlers::digests::scene::week;
    use crate::handlers::incidents::scene::open_incident;
    use crate::handlers::scene::{Scene, skipped_because};

    #[tokio::test]
    async fn a_week_is_counted_once_however_late_or_often_its_task_comes() {
        let scene = Scene::new().await;
        let handler = RunDigestHandler::new(scene.harness.ports.clone());
        let task = week(&scene).await;
        scene.harness.services.clock.advance(days(2));
        // What comes after the week does not count.
        open_incident(&scene, "pump").await;
        assert_eq!(scene.context().run(&handler, &task).await, Ok(Outcome::Completed));
        let again = scene.context().run(&handler, &task).await;
        assert_eq!(again, skipped_because("the week was counted already"));
        let events = scene.harness.take_events().await;
        let generated: DigestGenerated = scene.harness.read(events.last().unwrap());
        let tenant = scene.caller.tenant_of(&task.project_id);
        let mut uow = scene.harness.ports.units.begin(&tenant, &Cause::root()).await.unwrap();
        let digest = uow.digests().find(generated.digest_id).await.unwrap().unwrap();
        assert_eq!((digest.incidents_opened, digest.incidents_closed), (1, 0));
        assert_eq!(digest.until, task.until);
    }

    #[tokio::test]
    async fn a_week_in_which_nothing_happened_is_not_told_of() {
        let scene = Scene::new().await;
        let handler = RunDigestHandler::new(scene.harness.ports.clone());
        let mut task = week(&scene).await;
        task.until = after(task.until, days(30));
        let quiet = scene.context().run(&handler, &task).await;
        assert_eq!(quiet, skipped_because("nothing happened in the week"));
        task.project_id = scene.make_project("Doomed").await;
        scene.delete_project(&task.project_id).await;
        let gone = scene.context().run(&handler, &task).await;
        assert_eq!(gone, skipped_because("the project is gone"));
    }
}
