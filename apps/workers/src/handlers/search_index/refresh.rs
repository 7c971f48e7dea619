//! `search-index`/`refresh`: takes a record into the search index as it is now.

use aftercommit_domain::reference::ReferencePorts;
use aftercommit_domain::reference::search::RefreshSearchIndex;
use aftercommit_domain::reference::search::use_cases::refresh_search_index;
use aftercommit_domain::tasks::{TaskContext, TaskHandler, TaskResult};
use async_trait::async_trait;

/// Nothing but the use case, which puts the same again when it is run again.
pub(crate) struct RefreshSearchIndexHandler {
    reference: ReferencePorts,
}

impl RefreshSearchIndexHandler {
    pub(crate) const fn new(reference: ReferencePorts) -> Self {
        Self { reference }
    }
}

#[async_trait]
impl TaskHandler<RefreshSearchIndex> for RefreshSearchIndexHandler {
    async fn handle(&self, task: RefreshSearchIndex, ctx: &TaskContext) -> TaskResult {
        Ok(refresh_search_index(&self.reference, ctx.cause(), &task).await?.into())
    }
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::contract::Cause;
    use aftercommit_domain::reference::RecordId;
    use aftercommit_domain::reference::search::use_cases::search_records;
    use aftercommit_domain::tasks::Outcome;

    use super::*;
    use crate::handlers::records::ingest_one;
    use crate::handlers::scene::{Scene, skipped_because};

    async fn found(scene: &Scene, text: &str) -> Vec<RecordId> {
        let (ports, project) = (&scene.harness.ports, &scene.caller.project_id);
        let found = search_records(ports, &scene.caller, &Cause::root(), project, text).await;
        found.unwrap().record_ids
    }

    #[tokio::test]
    async fn a_record_is_found_by_what_it_says_when_the_task_runs_and_not_by_what_it_said() {
        let scene = Scene::new().await;
        let handler = RefreshSearchIndexHandler::new(scene.harness.ports.clone());
        let record_id = ingest_one(&scene, "pump", r#"{"message": "failed"}"#).await;
        let task = RefreshSearchIndex {
            organization_id: scene.caller.organization_id.clone(),
            project_id: scene.caller.project_id.clone(),
            record_id,
        };
        assert_eq!(
            ingest_one(&scene, "pump", r#"{"message": "Repaired"}"#).await,
            record_id
        );
        for _ in 0..2 {
            assert_eq!(scene.context().run(&handler, &task).await, Ok(Outcome::Completed));
            assert_eq!(found(&scene, "repaired").await, [record_id]);
            assert_eq!(found(&scene, "failed").await, []);
        }
    }

    #[tokio::test]
    async fn a_record_or_a_project_that_is_gone_is_skipped() {
        let scene = Scene::new().await;
        let handler = RefreshSearchIndexHandler::new(scene.harness.ports.clone());
        let mut task = RefreshSearchIndex {
            organization_id: scene.caller.organization_id.clone(),
            project_id: scene.caller.project_id.clone(),
            record_id: RecordId::new(&*scene.harness.ports.ids),
        };
        let gone = scene.context().run(&handler, &task).await;
        assert_eq!(gone, skipped_because("the record is gone"));
        task.project_id = scene.make_project("Doomed").await;
        scene.delete_project(&task.project_id).await;
        let gone = scene.context().run(&handler, &task).await;
        assert_eq!(gone, skipped_because("the project is gone"));
    }
}
