//! `notifications`/`delete-by-project`: removes the notifications about a deleted project.

use std::time::Duration;

use aftercommit_domain::reference::notifications::DeleteNotifications;
use aftercommit_domain::reference::notifications::use_cases::delete_notifications;
use aftercommit_domain::reference::{Progress, ReferencePorts};
use aftercommit_domain::tasks::{Outcome, TaskContext, TaskHandler, TaskResult};
use async_trait::async_trait;

/// How many parts one run removes before it lets other tasks of the topic have a turn.
const PARTS_OF_ONE_RUN: usize = 50;

/// Removes part after part, each in a transaction of its own, so that a stop or a crash loses no more than one. Nobody is told
/// anything about a deleted project, so that none is added behind it.
pub(crate) struct DeleteNotificationsHandler {
    reference: ReferencePorts,
}

impl DeleteNotificationsHandler {
    pub(crate) const fn new(reference: ReferencePorts) -> Self {
        Self { reference }
    }
}

#[async_trait]
impl TaskHandler<DeleteNotifications> for DeleteNotificationsHandler {
    async fn handle(&self, task: DeleteNotifications, ctx: &TaskContext) -> TaskResult {
        for _ in 0..PARTS_OF_ONE_RUN {
            match delete_notifications(&self.reference, ctx.cause(), &task).await? {
                Progress::NotYet(_) if !ctx.cancellation().is_cancelled() => {}
                progress => return Ok(progress.into()),
            }
        }
        Ok(Outcome::Snoozed(Duration::ZERO))
    }
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::contract::{BoundedText, Cause};
    use aftercommit_domain::reference::notifications::NotificationKind;
    use aftercommit_domain::reference::notifications::use_cases::create_notification;

    use super::*;
    use crate::handlers::notifications::scene::create;
    use crate::handlers::scene::{Scene, skipped_because};

    #[tokio::test]
    async fn every_notification_about_a_deleted_project_is_removed_and_no_other() {
        let scene = Scene::new().await;
        let handler = DeleteNotificationsHandler::new(scene.harness.ports.clone());
        let doomed = scene.make_project("Doomed").await;
        let subject = scene.harness.ports.ids.next();
        for n in 0..603 {
            let mut task = create(&scene, scene.owner, (NotificationKind::IncidentOpened, subject));
            task.idempotency_key = BoundedText::new(n.to_string()).unwrap();
            if n < 601 {
                task.project_id = doomed.clone();
            }
            let _made = create_notification(&scene.harness.ports, &Cause::root(), &task)
                .await
                .unwrap();
        }
        let task = DeleteNotifications {
            organization_id: scene.caller.organization_id.clone(),
            project_id: doomed.clone(),
        };
        let early = scene.context().run(&handler, &task).await;
        assert_eq!(early, skipped_because("the project is not deleted"));
        scene.delete_project(&doomed).await;
        let before = scene.harness.store.count_rows();
        assert_eq!(scene.context().run(&handler, &task).await, Ok(Outcome::Completed));
        assert_eq!(before - scene.harness.store.count_rows(), 601);
    }
}
