//! `exports`/`purge-by-project`: removes the exports of a deleted project, with their files.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::effects::ObjectStorage;
use aftercommit_domain::reference::exports::PurgeExports;
use aftercommit_domain::reference::exports::use_cases::purge_exports;
use aftercommit_domain::reference::{Progress, ReferencePorts};
use aftercommit_domain::tasks::{Outcome, Reason, TaskContext, TaskHandler, TaskResult};
use async_trait::async_trait;

use super::stopped;

/// Removes files and parts at once, and comes again for the rows when no worker can add to them any more.
pub(crate) struct PurgeExportsHandler {
    reference: ReferencePorts,
    storage: Arc<dyn ObjectStorage>,
}

impl PurgeExportsHandler {
    pub(crate) fn new(reference: ReferencePorts, storage: Arc<dyn ObjectStorage>) -> Self {
        Self { reference, storage }
    }
}

#[async_trait]
impl TaskHandler<PurgeExports> for PurgeExportsHandler {
    async fn handle(&self, task: PurgeExports, ctx: &TaskContext) -> TaskResult {
        let (mut from, mut wait): (_, Option<Duration>) = (None, None);
        loop {
            let purged = purge_exports(&self.reference, &*self.storage, ctx.cause(), &task, from).await;
            let purged = match purged.map_err(stopped)? {
                Progress::Done(purged) => purged,
                Progress::NotWanted(reason) => return Ok(Outcome::Skipped(Reason::new(reason))),
                Progress::NotYet(after) => return Ok(Outcome::Snoozed(after)),
            };
            wait = wait.max(purged.wait);
            from = match purged.next {
                Some(next) if !ctx.cancellation().is_cancelled() => Some(next),
                // From the first again: what is removed is not met again.
                Some(_) => return Ok(Outcome::Snoozed(Duration::ZERO)),
                None => return Ok(wait.map_or(Outcome::Completed, Outcome::Snoozed)),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::effects::ObjectStorageError;
    use aftercommit_domain::reference::exports::{EXPORT_SETTLED_AFTER, ExportState};
    use aftercommit_domain::workflows::WorkflowRequest;
    use aftercommit_testkit::StorageStep;

    use super::*;
    use crate::handlers::exports::scene::{ask, find, make, put_part, storage};
    use crate::handlers::scene::{Scene, failure_code, skipped_because};

    #[tokio::test]
    async fn exports_of_a_deleted_project_are_cancelled_and_removed_with_files_and_parts_and_no_others() {
        let scene = Scene::new().await;
        let (storage, kept) = (storage(&scene), scene.caller.project_id.clone());
        let handler = PurgeExportsHandler::new(scene.harness.ports.clone(), Arc::new(storage.clone()));
        let doomed = scene.make_project("Doomed").await;
        let (ready, running) = (ask(&scene, &doomed).await, ask(&scene, &doomed).await);
        make(&scene, &storage, &doomed, &ready).await;
        put_part(&storage, &running.1).await;
        let other = ask(&scene, &kept).await;
        make(&scene, &storage, &kept, &other).await;
        let task = PurgeExports {
            organization_id: scene.caller.organization_id.clone(),
            project_id: doomed.clone(),
        };
        let early = scene.context().run(&handler, &task).await;
        assert_eq!(early, skipped_because("the project is not deleted"));

        scene.delete_project(&doomed).await;
        scene.harness.take_tasks().await;
        let first = scene.context().run(&handler, &task).await;
        assert_eq!(first, Ok(Outcome::Snoozed(EXPORT_SETTLED_AFTER)));
        assert_eq!(
            (storage.objects(), storage.unfinished()),
            (vec![other.1.clone()], vec![])
        );
        let cancelled = find(&scene, &doomed, running.0).await.unwrap().state;
        assert!(matches!(cancelled, ExportState::Cancelled { .. }), "{cancelled:?}");
        let told = scene.harness.take_tasks().await;
        let told: Vec<_> = told
            .iter()
            .map(|task| WorkflowRequest::from_task(task).unwrap())
            .collect();
        assert!(matches!(&told[..], [WorkflowRequest::Signal(_)]), "{told:?}");

        // What a worker puts that was told too late.
        put_part(&storage, &running.1).await;
        scene.harness.services.clock.advance(EXPORT_SETTLED_AFTER);
        assert_eq!(scene.context().run(&handler, &task).await, Ok(Outcome::Completed));
        assert_eq!((storage.objects(), storage.unfinished()), (vec![other.1], vec![]));
        for (id, _) in [ready, running] {
            assert_eq!(find(&scene, &doomed, id).await, None);
        }
        assert!(find(&scene, &kept, other.0).await.is_some());
        assert_eq!(scene.context().run(&handler, &task).await, Ok(Outcome::Completed));
    }

    #[tokio::test]
    async fn a_row_stays_until_its_file_is_removed() {
        let scene = Scene::new().await;
        let storage = storage(&scene);
        let handler = PurgeExportsHandler::new(scene.harness.ports.clone(), Arc::new(storage.clone()));
        let doomed = scene.make_project("Doomed").await;
        // More than one call looks at.
        for _ in 0..30 {
            let asked = ask(&scene, &doomed).await;
            make(&scene, &storage, &doomed, &asked).await;
        }
        scene.delete_project(&doomed).await;
        scene.harness.services.clock.advance(EXPORT_SETTLED_AFTER);
        let task = PurgeExports {
            organization_id: scene.caller.organization_id.clone(),
            project_id: doomed.clone(),
        };
        let before = scene.harness.store.count_rows();
        let away = ObjectStorageError::Unavailable { reason: "503".into() };
        storage.script([StorageStep::Reject(away)]);
        let failed = scene.context().run(&handler, &task).await;
        assert_eq!(failure_code(failed), "storage.unavailable");
        assert_eq!(scene.harness.store.count_rows(), before);
        assert_eq!(scene.context().run(&handler, &task).await, Ok(Outcome::Completed));
        assert_eq!(before - scene.harness.store.count_rows(), 30);
        assert!(storage.objects().is_empty());
    }
}
