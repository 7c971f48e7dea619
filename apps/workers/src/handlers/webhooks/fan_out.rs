//! `webhooks`/`fan-out`: finds the webhooks that want an event.

use aftercommit_domain::reference::ReferencePorts;
use aftercommit_domain::reference::webhooks::FanOutWebhooks;
use aftercommit_domain::reference::webhooks::use_cases::fan_out_webhooks;
use aftercommit_domain::tasks::{TaskContext, TaskHandler, TaskResult};
use async_trait::async_trait;

/// Nothing but the use case: the deliveries leave with the transaction that found out who wants them, once.
pub(crate) struct FanOutWebhooksHandler {
    reference: ReferencePorts,
}

impl FanOutWebhooksHandler {
    pub(crate) const fn new(reference: ReferencePorts) -> Self {
        Self { reference }
    }
}

#[async_trait]
impl TaskHandler<FanOutWebhooks> for FanOutWebhooksHandler {
    async fn handle(&self, task: FanOutWebhooks, ctx: &TaskContext) -> TaskResult {
        Ok(fan_out_webhooks(&self.reference, ctx, &task).await?.into())
    }
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::reference::webhooks::{DeliverWebhook, WebhookEvent};
    use aftercommit_domain::tasks::{Outcome, Stop, Task as _};

    use super::*;
    use crate::handlers::scene::{Scene, skipped_because};

    fn handler(scene: &Scene) -> FanOutWebhooksHandler {
        FanOutWebhooksHandler::new(scene.harness.ports.clone())
    }

    #[tokio::test]
    async fn every_webhook_that_wants_an_event_gets_one_delivery_and_no_other_does() {
        let scene = Scene::new().await;
        let wanting = [
            scene.make_webhook(&["FirstRecordReceived", "ProjectDeleted"]).await,
            scene.make_webhook(&["FirstRecordReceived"]).await,
        ];
        scene.make_webhook(&["ProjectDeleted"]).await;
        let elsewhere = scene.make_project("Elsewhere").await;
        scene.make_webhook_of(&elsewhere, &["FirstRecordReceived"]).await;
        scene.harness.take_tasks().await;

        let (task, context) = (scene.fan_out(WebhookEvent::FirstRecordReceived {}), scene.context());
        assert_eq!(context.run(&handler(&scene), &task).await, Ok(Outcome::Completed));
        let published = scene.harness.take_tasks().await;
        let deliveries: Vec<DeliverWebhook> = published.iter().map(|one| scene.harness.read_task(one)).collect();
        assert_eq!(deliveries.len(), wanting.len());
        for ((delivery, made), envelope) in deliveries.iter().zip(&wanting).zip(&published) {
            assert_eq!(delivery.webhook_id, made.webhook_id);
            assert_eq!(
                (delivery.event_id, delivery.occurred_at),
                (task.event_id, task.occurred_at)
            );
            assert_eq!(delivery.event, task.event);
            assert_eq!(envelope.order_key, delivery.order_key());
            assert_eq!(
                envelope.id,
                context.build().task_id().derive(&made.webhook_id.to_string())
            );
        }

        // However often it comes, and whoever was added meanwhile.
        scene.make_webhook(&["FirstRecordReceived"]).await;
        scene.harness.take_tasks().await;
        assert_eq!(context.run(&handler(&scene), &task).await, Err(Stop::Done));
        assert!(scene.harness.take_tasks().await.is_empty());
    }

    #[tokio::test]
    async fn what_was_not_committed_is_published_when_its_task_comes_again() {
        let scene = Scene::new().await;
        scene.make_webhook(&["FirstRecordReceived"]).await;
        scene.harness.take_tasks().await;
        let (task, context) = (scene.fan_out(WebhookEvent::FirstRecordReceived {}), scene.context());
        scene.harness.store.refuse_commits(true);
        assert!(context.run(&handler(&scene), &task).await.is_err());
        assert!(scene.harness.take_tasks().await.is_empty());
        scene.harness.store.refuse_commits(false);
        assert_eq!(context.run(&handler(&scene), &task).await, Ok(Outcome::Completed));
        assert_eq!(scene.harness.take_tasks().await.len(), 1);
    }

    #[tokio::test]
    async fn nobody_is_told_of_a_deleted_project_but_that_it_was_deleted() {
        let scene = Scene::new().await;
        let project = scene.make_project("Doomed").await;
        scene
            .make_webhook_of(&project, &["FirstRecordReceived", "ProjectDeleted"])
            .await;
        scene.delete_project(&project).await;
        let mut task = scene.fan_out(WebhookEvent::FirstRecordReceived {});
        task.project_id = project;
        let late = scene.context().run(&handler(&scene), &task).await;
        assert_eq!(late, skipped_because("the project is gone"));
        task.event = WebhookEvent::ProjectDeleted {};
        let last = scene.context().run(&handler(&scene), &task).await;
        assert_eq!(last, Ok(Outcome::Completed));
        task.project_id = "0192f0c1-0000-7000-8000-00000000ffff".parse().unwrap();
        let gone = scene.context().run(&handler(&scene), &task).await;
        assert_eq!(gone, skipped_because("the project is gone"));
    }

    #[tokio::test]
    async fn an_event_nobody_wants_is_told_to_nobody() {
        let scene = Scene::new().await;
        scene.make_webhook(&["ProjectDeleted"]).await;
        let task = scene.fan_out(WebhookEvent::FirstRecordReceived {});
        scene.harness.take_tasks().await;
        assert_eq!(
            scene.context().run(&handler(&scene), &task).await,
            Ok(Outcome::Completed)
        );
        assert!(scene.harness.take_tasks().await.is_empty());
    }
}
