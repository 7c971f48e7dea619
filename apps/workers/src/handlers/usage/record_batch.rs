//! `usage`/`record-batch`: adds a batch of records to the usage of its project.

use aftercommit_domain::reference::ReferencePorts;
use aftercommit_domain::reference::usage::RecordUsage;
use aftercommit_domain::reference::usage::use_cases::record_usage;
use aftercommit_domain::tasks::{TaskContext, TaskHandler, TaskResult};
use async_trait::async_trait;

/// Nothing but the use case: the inbox makes an addition, which is not repeatable, happen once.
pub(crate) struct RecordUsageHandler {
    reference: ReferencePorts,
}

impl RecordUsageHandler {
    pub(crate) const fn new(reference: ReferencePorts) -> Self {
        Self { reference }
    }
}

#[async_trait]
impl TaskHandler<RecordUsage> for RecordUsageHandler {
    async fn handle(&self, task: RecordUsage, ctx: &TaskContext) -> TaskResult {
        Ok(record_usage(&self.reference, ctx, &task).await?.into())
    }
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::contract::{Cause, StorageKey};
    use aftercommit_domain::reference::usage::use_cases::list_usage;
    use aftercommit_domain::tasks::{Outcome, Stop};

    use super::*;
    use crate::handlers::scene::{Scene, skipped_because};

    async fn used(scene: &Scene, task: &RecordUsage) -> Vec<(u64, u64)> {
        let listed = list_usage(&scene.harness.ports, &scene.caller, &Cause::root(), &task.project_id).await;
        let periods = listed.unwrap().into_iter();
        periods.map(|period| (period.batches, period.records)).collect()
    }

    fn batch_of(scene: &Scene, records: u32) -> RecordUsage {
        RecordUsage {
            organization_id: scene.caller.organization_id.clone(),
            project_id: scene.caller.project_id.clone(),
            batch: StorageKey::new("records/batch").unwrap(),
            records,
        }
    }

    #[tokio::test]
    async fn a_batch_is_counted_once_however_often_its_task_comes() {
        let scene = Scene::new().await;
        let handler = RecordUsageHandler::new(scene.harness.ports.clone());
        let (task, context) = (batch_of(&scene, 7), scene.context());
        assert_eq!(context.run(&handler, &task).await, Ok(Outcome::Completed));
        for attempt in 1..4 {
            let again = context.clone().attempt(attempt).run(&handler, &task).await;
            assert_eq!(again, Err(Stop::Done));
        }
        assert_eq!(used(&scene, &task).await, [(1, 7)]);
        // Another task is another batch, whatever it says.
        assert_eq!(scene.context().run(&handler, &task).await, Ok(Outcome::Completed));
        assert_eq!(used(&scene, &task).await, [(2, 14)]);
    }

    #[tokio::test]
    async fn a_batch_whose_commit_failed_is_counted_when_its_task_comes_again() {
        let scene = Scene::new().await;
        let handler = RecordUsageHandler::new(scene.harness.ports.clone());
        let (task, context) = (batch_of(&scene, 7), scene.context());
        scene.harness.store.refuse_commits(true);
        assert!(context.run(&handler, &task).await.is_err());
        scene.harness.store.refuse_commits(false);
        assert_eq!(context.run(&handler, &task).await, Ok(Outcome::Completed));
        assert_eq!(used(&scene, &task).await, [(1, 7)]);
    }

    #[tokio::test]
    async fn usage_of_a_project_that_was_deleted_is_counted_and_of_one_that_never_was_is_skipped() {
        let scene = Scene::new().await;
        let handler = RecordUsageHandler::new(scene.harness.ports.clone());
        let mut task = batch_of(&scene, 7);
        task.project_id = scene.make_project("Doomed").await;
        scene.delete_project(&task.project_id).await;
        assert_eq!(scene.context().run(&handler, &task).await, Ok(Outcome::Completed));
        assert_eq!(used(&scene, &task).await, [(1, 7)]);
        task.project_id = "0192f0c1-0000-7000-8000-00000000ffff".parse().unwrap();
        let gone = scene.context().run(&handler, &task).await;
        assert_eq!(gone, skipped_because("the project is gone"));
    }
}
