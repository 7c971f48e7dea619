//! `projects`/`check-first-record`: tells of a project's first record, once.

use aftercommit_domain::reference::ReferencePorts;
use aftercommit_domain::reference::projects::CheckFirstRecord;
use aftercommit_domain::reference::projects::use_cases::check_first_record;
use aftercommit_domain::tasks::{TaskContext, TaskHandler, TaskResult};
use async_trait::async_trait;

/// Nothing but the use case: a guarded update decides which of many batches was the first.
pub(crate) struct CheckFirstRecordHandler {
    reference: ReferencePorts,
}

impl CheckFirstRecordHandler {
    pub(crate) const fn new(reference: ReferencePorts) -> Self {
        Self { reference }
    }
}

#[async_trait]
impl TaskHandler<CheckFirstRecord> for CheckFirstRecordHandler {
    async fn handle(&self, task: CheckFirstRecord, ctx: &TaskContext) -> TaskResult {
        Ok(check_first_record(&self.reference, ctx.cause(), &task).await?.into())
    }
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::reference::RequestContext;
    use aftercommit_domain::reference::projects::FirstRecordReceived;
    use aftercommit_domain::tasks::Outcome;

    use super::*;
    use crate::handlers::records::ingest;
    use crate::handlers::scene::{Scene, skipped_because};

    #[tokio::test]
    async fn the_first_record_is_told_of_once_however_many_batches_come() {
        let scene = Scene::new().await;
        let handler = CheckFirstRecordHandler::new(scene.harness.ports.clone());
        let task = CheckFirstRecord {
            organization_id: scene.caller.organization_id.clone(),
            project_id: scene.caller.project_id.clone(),
        };
        let none = scene.context().run(&handler, &task).await;
        assert_eq!(none, skipped_because("the project has no records"));

        ingest(&scene, &task.project_id, 3, &RequestContext::default()).await;
        assert_eq!(scene.context().run(&handler, &task).await, Ok(Outcome::Completed));
        let again = scene.context().run(&handler, &task).await;
        assert_eq!(again, skipped_because("the project's first record came earlier"));
        let events = scene.harness.take_events().await;
        assert_eq!(events.len(), 1);
        let first: FirstRecordReceived = scene.harness.read(events.first().unwrap());
        assert_eq!(first.project_id, task.project_id);
    }
}
