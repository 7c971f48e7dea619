//! `records`/`settle`: tells that a record has not come for a while.

use aftercommit_domain::reference::ReferencePorts;
use aftercommit_domain::reference::records::SettleRecord;
use aftercommit_domain::reference::records::use_cases::settle_record;
use aftercommit_domain::tasks::{TaskContext, TaskHandler, TaskResult};
use async_trait::async_trait;

use crate::Rails;

/// Nothing but the use case: an edge of a lifecycle publishes its event and does nothing else.
pub(crate) struct SettleRecordHandler {
    reference: ReferencePorts,
    rails: Rails,
}

impl SettleRecordHandler {
    pub(crate) const fn new(reference: ReferencePorts, rails: Rails) -> Self {
        Self { reference, rails }
    }
}

#[async_trait]
impl TaskHandler<SettleRecord> for SettleRecordHandler {
    async fn handle(&self, task: SettleRecord, ctx: &TaskContext) -> TaskResult {
        Ok(settle_record(&self.reference, self.rails.direct(), ctx, &task)
            .await?
            .into())
    }
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::reference::RecordId;
    use aftercommit_domain::reference::records::RecordSettled;
    use aftercommit_domain::tasks::Outcome;

    use super::*;
    use crate::handlers::records::ingest_one;
    use crate::handlers::scene::{Scene, skipped_because};

    fn of(scene: &Scene, record_id: RecordId) -> SettleRecord {
        SettleRecord {
            organization_id: scene.caller.organization_id.clone(),
            project_id: scene.caller.project_id.clone(),
            record_id,
        }
    }

    #[tokio::test]
    async fn a_settled_record_is_told_of_under_one_id_however_often_its_task_comes() {
        let scene = Scene::new().await;
        let handler = SettleRecordHandler::new(scene.harness.ports.clone(), scene.rails());
        let record_id = ingest_one(&scene, "sensor", "{}").await;
        let (task, context) = (of(&scene, record_id), scene.context());
        for _ in 0..2 {
            assert_eq!(context.run(&handler, &task).await, Ok(Outcome::Completed));
        }
        let events = scene.harness.direct_events().await;
        let settled = events.iter().filter(|event| event.name.as_str() == "RecordSettled");
        let settled: Vec<_> = settled.collect();
        assert_eq!(settled.len(), 1);
        let event: RecordSettled = scene.harness.read(settled.first().unwrap());
        assert_eq!(event.record_id, record_id);
        assert!(scene.harness.take_events().await.is_empty(), "nothing happens inline");
    }

    #[tokio::test]
    async fn a_record_that_is_gone_is_skipped_with_its_reason() {
        let scene = Scene::new().await;
        let handler = SettleRecordHandler::new(scene.harness.ports.clone(), scene.rails());
        let unknown = of(&scene, RecordId::new(&*scene.harness.ports.ids));
        let gone = scene.context().run(&handler, &unknown).await;
        assert_eq!(gone, skipped_because("the record is gone"));
        let mut doomed = of(&scene, ingest_one(&scene, "sensor", "{}").await);
        doomed.project_id = scene.make_project("Doomed").await;
        scene.delete_project(&doomed.project_id).await;
        let gone = scene.context().run(&handler, &doomed).await;
        assert_eq!(gone, skipped_because("the project is gone"));
    }
}
