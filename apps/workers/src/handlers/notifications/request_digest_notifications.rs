//! `notifications`/`request-digest-notifications`: asks for everybody whom it concerns to be told of a week of a project.

use aftercommit_domain::reference::ReferencePorts;
use aftercommit_domain::reference::notifications::RequestDigestNotifications;
use aftercommit_domain::reference::notifications::use_cases::request_digest_notifications;
use aftercommit_domain::tasks::{TaskContext, TaskHandler, TaskResult};
use async_trait::async_trait;

use crate::Rails;

/// Nothing but the use case: the ids of what it publishes come from its task's, so that a second run adds nothing.
pub(crate) struct RequestDigestNotificationsHandler {
    reference: ReferencePorts,
    rails: Rails,
}

impl RequestDigestNotificationsHandler {
    pub(crate) const fn new(reference: ReferencePorts, rails: Rails) -> Self {
        Self { reference, rails }
    }
}

#[async_trait]
impl TaskHandler<RequestDigestNotifications> for RequestDigestNotificationsHandler {
    async fn handle(&self, task: RequestDigestNotifications, ctx: &TaskContext) -> TaskResult {
        Ok(
            request_digest_notifications(&self.reference, self.rails.tasks(), ctx, &task)
                .await?
                .into(),
        )
    }
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::reference::WeeklyDigestId;
    use aftercommit_domain::reference::notifications::{CreateNotification, NotificationKind};
    use aftercommit_domain::tasks::Outcome;

    use super::*;
    use crate::handlers::digests::scene::generate;
    use crate::handlers::scene::{Scene, skipped_because};

    #[tokio::test]
    async fn every_member_is_to_be_told_of_a_week_once() {
        let scene = Scene::new().await;
        let handler = RequestDigestNotificationsHandler::new(scene.harness.ports.clone(), scene.rails());
        let mut task = RequestDigestNotifications::from(&generate(&scene).await);
        let context = scene.context();
        for _ in 0..2 {
            assert_eq!(context.run(&handler, &task).await, Ok(Outcome::Completed));
        }
        let told = scene.harness.waiting::<CreateNotification>().await;
        let [(told, _)] = told.as_slice() else {
            panic!("one member is told once: {told:?}");
        };
        assert_eq!((told.user_id, told.kind), (scene.owner, NotificationKind::WeeklyDigest));
        task.digest_id = WeeklyDigestId::new(&*scene.harness.ports.ids);
        let gone = scene.context().run(&handler, &task).await;
        assert_eq!(gone, skipped_because("the digest is gone"));
    }
}
