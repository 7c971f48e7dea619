//! `exports`/`sweep`: removes what a worker put of an export that was over by then.

use std::sync::Arc;

use aftercommit_domain::effects::ObjectStorage;
use aftercommit_domain::reference::ReferencePorts;
use aftercommit_domain::reference::exports::SweepExport;
use aftercommit_domain::reference::exports::use_cases::sweep_export;
use aftercommit_domain::tasks::{TaskContext, TaskHandler, TaskResult};
use async_trait::async_trait;

use super::stopped;

/// Nothing but the use case: what the storage has is removed, and removing it again is no error.
pub(crate) struct SweepExportHandler {
    reference: ReferencePorts,
    storage: Arc<dyn ObjectStorage>,
}

impl SweepExportHandler {
    pub(crate) fn new(reference: ReferencePorts, storage: Arc<dyn ObjectStorage>) -> Self {
        Self { reference, storage }
    }
}

#[async_trait]
impl TaskHandler<SweepExport> for SweepExportHandler {
    async fn handle(&self, task: SweepExport, ctx: &TaskContext) -> TaskResult {
        let swept = sweep_export(&self.reference, &*self.storage, ctx.cause(), &task).await;
        Ok(swept.map_err(stopped)?.into())
    }
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::effects::ObjectStorageError;
    use aftercommit_domain::reference::exports::{ExportCompleted, ExportFailed, ExportState};
    use aftercommit_domain::tasks::Outcome;
    use aftercommit_testkit::StorageStep;

    use super::*;
    use crate::handlers::exports::scene::{ask, end, make, put_part, storage};
    use crate::handlers::scene::{Scene, failure_code, skipped_because};

    #[tokio::test]
    async fn the_parts_that_a_stale_worker_put_are_removed_and_a_file_that_is_ready_stays() {
        let scene = Scene::new().await;
        let (storage, project) = (storage(&scene), scene.caller.project_id.clone());
        let handler = SweepExportHandler::new(scene.harness.ports.clone(), Arc::new(storage.clone()));
        let (ready, failed) = (ask(&scene, &project).await, ask(&scene, &project).await);
        scene.harness.take_tasks().await;
        let task = |export_id| SweepExport {
            organization_id: scene.caller.organization_id.clone(),
            project_id: project.clone(),
            export_id,
        };
        put_part(&storage, &failed.1).await;
        let early = scene.context().run(&handler, &task(failed.0)).await;
        assert_eq!(early, skipped_because("the export is not over"));
        assert_eq!(storage.unfinished().len(), 1, "it may still be wanted");

        make(&scene, &storage, &project, &ready).await;
        let completed = scene.harness.take_events().await;
        let completed: ExportCompleted = scene.harness.read(completed.last().unwrap());
        let state = ExportState::failed("no room", scene.harness.ports.now());
        end(&scene, &project, failed.0, state).await;
        let told = scene.harness.take_events().await;
        let told: ExportFailed = scene.harness.read(told.last().unwrap());
        // What comes after the end.
        put_part(&storage, &ready.1).await;
        for sweep in [SweepExport::from(&completed), SweepExport::from(&told)] {
            assert_eq!(scene.context().run(&handler, &sweep).await, Ok(Outcome::Completed));
        }
        assert!(storage.unfinished().is_empty());
        assert_eq!(storage.objects(), [ready.1]);
    }

    #[tokio::test]
    async fn a_storage_that_is_away_is_asked_again() {
        let scene = Scene::new().await;
        let (storage, project) = (storage(&scene), scene.caller.project_id.clone());
        let handler = SweepExportHandler::new(scene.harness.ports.clone(), Arc::new(storage.clone()));
        let (export_id, file) = ask(&scene, &project).await;
        let at = scene.harness.ports.now();
        end(&scene, &project, export_id, ExportState::Cancelled { at }).await;
        put_part(&storage, &file).await;
        let task = SweepExport {
            organization_id: scene.caller.organization_id.clone(),
            project_id: project.clone(),
            export_id,
        };
        let away = ObjectStorageError::Unavailable { reason: "503".into() };
        storage.script([StorageStep::Reject(away)]);
        let failed = scene.context().run(&handler, &task).await;
        assert_eq!(failure_code(failed), "storage.unavailable");
        assert_eq!(scene.context().run(&handler, &task).await, Ok(Outcome::Completed));
        assert!(storage.unfinished().is_empty());
    }
}
