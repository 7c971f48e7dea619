//! `notifications`/`create-notification`: tells a member something, once for each key.

use aftercommit_domain::reference::ReferencePorts;
use aftercommit_domain::reference::notifications::CreateNotification;
use aftercommit_domain::reference::notifications::use_cases::create_notification;
use aftercommit_domain::tasks::{TaskContext, TaskHandler, TaskResult};
use async_trait::async_trait;

/// Nothing but the use case: the row, added if it is absent, and the event that asks for its e-mail are one transaction, so that
/// whoever comes again adds neither, and neither is without the other.
pub(crate) struct CreateNotificationHandler {
    reference: ReferencePorts,
}

impl CreateNotificationHandler {
    pub(crate) const fn new(reference: ReferencePorts) -> Self {
        Self { reference }
    }
}

#[async_trait]
impl TaskHandler<CreateNotification> for CreateNotificationHandler {
    async fn handle(&self, task: CreateNotification, ctx: &TaskContext) -> TaskResult {
        Ok(create_notification(&self.reference, ctx.cause(), &task).await?.into())
    }
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::reference::UserId;
    use aftercommit_domain::reference::notifications::NotificationKind;
    use aftercommit_domain::tasks::Outcome;

    use super::*;
    use crate::handlers::notifications::scene::create;
    use crate::handlers::scene::{Scene, failure_code, skipped_because};

    #[tokio::test]
    async fn a_person_is_told_once_and_the_email_is_asked_for_once_whatever_comes_again() {
        let scene = Scene::new().await;
        let handler = CreateNotificationHandler::new(scene.harness.ports.clone());
        let subject = scene.harness.ports.ids.next();
        let task = create(&scene, scene.owner, (NotificationKind::IncidentOpened, subject));
        let context = scene.context();
        // Not committed: neither is there.
        scene.harness.store.refuse_commits(true);
        assert_eq!(failure_code(context.run(&handler, &task).await), "commit.rolled_back");
        scene.harness.store.refuse_commits(false);
        assert_eq!(scene.harness.take_events().await.len(), 0);
        assert_eq!(context.run(&handler, &task).await, Ok(Outcome::Completed));
        // A redelivery, and another task that says the same.
        let there = skipped_because("the notification is there already");
        assert_eq!(context.run(&handler, &task).await, there);
        assert_eq!(scene.context().run(&handler, &task).await, there);
        let events = scene.harness.take_events().await;
        let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
        assert_eq!(names, ["NotificationCreated"]);
        let closed = create(&scene, scene.owner, (NotificationKind::IncidentClosed, subject));
        assert_eq!(scene.context().run(&handler, &closed).await, Ok(Outcome::Completed));
    }

    #[tokio::test]
    async fn nobody_is_told_who_is_no_member_and_nothing_of_a_project_that_is_gone() {
        let scene = Scene::new().await;
        let handler = CreateNotificationHandler::new(scene.harness.ports.clone());
        let about = (NotificationKind::WeeklyDigest, scene.harness.ports.ids.next());
        let stranger = create(&scene, UserId::new(&*scene.harness.ports.ids), about);
        let result = scene.context().run(&handler, &stranger).await;
        assert_eq!(result, skipped_because("the person is no member any more"));
        let mut task = create(&scene, scene.owner, about);
        task.project_id = scene.make_project("Doomed").await;
        scene.delete_project(&task.project_id).await;
        let result = scene.context().run(&handler, &task).await;
        assert_eq!(result, skipped_because("the project is gone"));
    }
}
