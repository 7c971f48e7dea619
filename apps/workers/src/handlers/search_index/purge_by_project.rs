//! `search-index`/`purge-by-project`: removes everything of a deleted project from the search index.

use std::time::Duration;

use aftercommit_domain::reference::search::PurgeSearchIndex;
use aftercommit_domain::reference::search::use_cases::purge_search_index;
use aftercommit_domain::reference::{Progress, ReferencePorts};
use aftercommit_domain::tasks::{Outcome, TaskContext, TaskHandler, TaskResult};
use async_trait::async_trait;

/// How many parts one run removes before it lets other tasks of the topic have a turn.
const PARTS_OF_ONE_RUN: usize = 50;

/// Removes part after part, each in a transaction of its own, so that a stop or a crash loses no more than one.
pub(crate) struct PurgeSearchIndexHandler {
    reference: ReferencePorts,
}

impl PurgeSearchIndexHandler {
    pub(crate) const fn new(reference: ReferencePorts) -> Self {
        Self { reference }
    }
}

#[async_trait]
impl TaskHandler<PurgeSearchIndex> for PurgeSearchIndexHandler {
    async fn handle(&self, task: PurgeSearchIndex, ctx: &TaskContext) -> TaskResult {
        for _ in 0..PARTS_OF_ONE_RUN {
            match purge_search_index(&self.reference, ctx.cause(), &task).await? {
                Progress::NotYet(_) if !ctx.cancellation().is_cancelled() => {}
                progress => return Ok(progress.into()),
            }
        }
        Ok(Outcome::Snoozed(Duration::ZERO))
    }
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::contract::Cause;
    use aftercommit_domain::reference::RequestContext;
    use aftercommit_domain::reference::search::SearchText;

    use super::*;
    use crate::handlers::records::ingest;
    use crate::handlers::scene::{Scene, skipped_because};

    #[tokio::test]
    async fn all_of_a_deleted_project_is_removed_and_none_of_a_live_one() {
        let scene = Scene::new().await;
        let handler = PurgeSearchIndexHandler::new(scene.harness.ports.clone());
        let doomed = scene.make_project("Doomed").await;
        ingest(&scene, &doomed, 600, &RequestContext::default()).await;
        let tenant = scene.caller.tenant_of(&doomed);
        let mut uow = scene.harness.ports.units.begin(&tenant, &Cause::root()).await.unwrap();
        let batch = scene.harness.direct_events().await;
        let batch: aftercommit_domain::reference::records::RecordsIngested = scene.harness.read(batch.last().unwrap());
        let ids = uow.records().of_batch(&doomed, &batch.batch, None, 1000).await.unwrap();
        let (text, now) = (SearchText::new("word"), scene.harness.ports.now());
        for id in ids {
            assert!(uow.search_index().put(&doomed, id, &text, now).await.unwrap());
        }
        uow.commit().await.unwrap();
        let task = PurgeSearchIndex {
            organization_id: scene.caller.organization_id.clone(),
            project_id: doomed.clone(),
        };
        let early = scene.context().run(&handler, &task).await;
        assert_eq!(early, skipped_because("the project is not deleted"));

        scene.delete_project(&doomed).await;
        let before = scene.harness.store.count_rows();
        assert_eq!(scene.context().run(&handler, &task).await, Ok(Outcome::Completed));
        assert_eq!(before - scene.harness.store.count_rows(), 600);
    }
}
