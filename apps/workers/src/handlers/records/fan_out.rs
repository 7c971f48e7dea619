//! `records`/`fan-out`: asks for each record of a batch to be settled.

use aftercommit_domain::reference::ReferencePorts;
use aftercommit_domain::reference::records::FanOutRecords;
use aftercommit_domain::reference::records::use_cases::fan_out_records;
use aftercommit_domain::tasks::{TaskContext, TaskHandler, TaskResult};
use async_trait::async_trait;

use crate::Rails;

/// Nothing but the use case: the ids of what it publishes come from its task's, so that a second run adds nothing.
pub(crate) struct FanOutRecordsHandler {
    reference: ReferencePorts,
    rails: Rails,
}

impl FanOutRecordsHandler {
    pub(crate) const fn new(reference: ReferencePorts, rails: Rails) -> Self {
        Self { reference, rails }
    }
}

#[async_trait]
impl TaskHandler<FanOutRecords> for FanOutRecordsHandler {
    async fn handle(&self, task: FanOutRecords, ctx: &TaskContext) -> TaskResult {
        Ok(fan_out_records(&self.reference, self.rails.tasks(), ctx, &task)
            .await?
            .into())
    }
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::reference::RequestContext;
    use aftercommit_domain::reference::records::{RecordsIngested, SettleRecord};
    use aftercommit_domain::tasks::Outcome;
    use aftercommit_domain::time::{Clock as _, Timestamp, after, minutes, seconds};

    use super::*;
    use crate::handlers::records::ingest;
    use crate::handlers::scene::{Scene, skipped_because};

    /// Ingests records and answers the task that follows.
    async fn batch_of(scene: &Scene, records: usize) -> FanOutRecords {
        ingest(scene, &scene.caller.project_id, records, &RequestContext::default()).await;
        let events = scene.harness.direct_events().await;
        FanOutRecords::from(&scene.harness.read::<RecordsIngested>(events.last().unwrap()))
    }

    async fn due(scene: &Scene) -> Vec<Timestamp> {
        let waiting = scene.harness.waiting::<SettleRecord>().await;
        waiting.into_iter().map(|(_, due)| due.unwrap()).collect()
    }

    fn handler(scene: &Scene) -> FanOutRecordsHandler {
        FanOutRecordsHandler::new(scene.harness.ports.clone(), scene.rails())
    }

    #[tokio::test]
    async fn each_record_of_a_batch_is_to_settle_once_it_was_quiet() {
        let scene = Scene::new().await;
        let task = batch_of(&scene, 600).await;
        let began = scene.harness.services.clock.now();
        assert_eq!(
            scene.context().run(&handler(&scene), &task).await,
            Ok(Outcome::Completed)
        );
        assert_eq!(due(&scene).await, vec![after(began, seconds(90)); 600]);
    }

    #[tokio::test]
    async fn run_again_it_adds_nothing_and_moves_nothing() {
        let scene = Scene::new().await;
        let (task, context) = (batch_of(&scene, 3).await, scene.context());
        assert_eq!(context.run(&handler(&scene), &task).await, Ok(Outcome::Completed));
        let before = due(&scene).await;
        scene.harness.services.clock.advance(seconds(30));
        assert_eq!(context.run(&handler(&scene), &task).await, Ok(Outcome::Completed));
        assert_eq!(due(&scene).await, before);
    }

    #[tokio::test]
    async fn a_record_that_comes_again_waits_for_quiet_again_but_no_longer_than_the_longest_wait() {
        let scene = Scene::new().await;
        let clock = &scene.harness.services.clock;
        let began = clock.now();
        for n in 0..16 {
            let task = batch_of(&scene, 1).await;
            scene.context().run(&handler(&scene), &task).await.unwrap();
            let quiet = after(clock.now(), seconds(90));
            assert_eq!(due(&scene).await, [quiet.min(after(began, minutes(15)))], "publish {n}");
            clock.advance(seconds(59));
        }
    }

    #[tokio::test]
    async fn records_that_came_again_with_a_newer_batch_are_left_to_it() {
        let scene = Scene::new().await;
        let (first, second) = (batch_of(&scene, 2).await, batch_of(&scene, 2).await);
        let result = scene.context().run(&handler(&scene), &first).await;
        assert_eq!(result, skipped_because("no record of the batch is its own any more"));
        assert_eq!(
            scene.context().run(&handler(&scene), &second).await,
            Ok(Outcome::Completed)
        );
        assert_eq!(due(&scene).await.len(), 2);
    }
}
