//! `records`/`purge-by-project`: removes the records of a deleted project.

use std::time::Duration;

use aftercommit_domain::reference::records::PurgeRecords;
use aftercommit_domain::reference::records::use_cases::purge_records;
use aftercommit_domain::reference::{Progress, ReferencePorts};
use aftercommit_domain::tasks::{Outcome, TaskContext, TaskHandler, TaskResult};
use async_trait::async_trait;

/// How many parts one run removes before it lets other tasks of the topic have a turn.
const PARTS_OF_ONE_RUN: usize = 50;

/// Removes part after part, each in a transaction of its own, so that a stop or a crash loses no more than one.
pub(crate) struct PurgeRecordsHandler {
    reference: ReferencePorts,
}

impl PurgeRecordsHandler {
    pub(crate) const fn new(reference: ReferencePorts) -> Self {
        Self { reference }
    }
}

#[async_trait]
impl TaskHandler<PurgeRecords> for PurgeRecordsHandler {
    async fn handle(&self, task: PurgeRecords, ctx: &TaskContext) -> TaskResult {
        for _ in 0..PARTS_OF_ONE_RUN {
            match purge_records(&self.reference, ctx.cause(), &task).await? {
                Progress::NotYet(_) if !ctx.cancellation().is_cancelled() => {}
                progress => return Ok(progress.into()),
            }
        }
        Ok(Outcome::Snoozed(Duration::ZERO))
    }
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::reference::RequestContext;

    use super::*;
    use crate::handlers::records::ingest;
    use crate::handlers::scene::{Scene, skipped_because};

    #[tokio::test]
    async fn every_record_of_a_deleted_project_is_removed_and_no_other() {
        let scene = Scene::new().await;
        let handler = PurgeRecordsHandler::new(scene.harness.ports.clone());
        let doomed = scene.make_project("Doomed").await;
        ingest(&scene, &doomed, 1000, &RequestContext::default()).await;
        ingest(&scene, &scene.caller.project_id, 2, &RequestContext::default()).await;
        let task = PurgeRecords {
            organization_id: scene.caller.organization_id.clone(),
            project_id: doomed.clone(),
        };
        let early = scene.context().run(&handler, &task).await;
        assert_eq!(early, skipped_because("the project is not deleted"));

        scene.delete_project(&doomed).await;
        let before = scene.harness.store.count_rows();
        assert_eq!(scene.context().run(&handler, &task).await, Ok(Outcome::Completed));
        assert_eq!(before - scene.harness.store.count_rows(), 1000);
        assert_eq!(scene.context().run(&handler, &task).await, Ok(Outcome::Completed));
    }
}
