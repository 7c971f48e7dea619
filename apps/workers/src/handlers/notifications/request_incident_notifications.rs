//! `notifications`/`request-incident-notifications`: asks for everybody whom it concerns to be told of an incident.

use aftercommit_domain::reference::ReferencePorts;
use aftercommit_domain::reference::notifications::RequestIncidentNotifications;
use aftercommit_domain::reference::notifications::use_cases::request_incident_notifications;
use aftercommit_domain::tasks::{TaskContext, TaskHandler, TaskResult};
use async_trait::async_trait;

use crate::Rails;

/// Nothing but the use case: the ids of what it publishes come from its task's, so that a second run adds nothing.
pub(crate) struct RequestIncidentNotificationsHandler {
    reference: ReferencePorts,
    rails: Rails,
}

impl RequestIncidentNotificationsHandler {
    pub(crate) const fn new(reference: ReferencePorts, rails: Rails) -> Self {
        Self { reference, rails }
    }
}

#[async_trait]
impl TaskHandler<RequestIncidentNotifications> for RequestIncidentNotificationsHandler {
    async fn handle(&self, task: RequestIncidentNotifications, ctx: &TaskContext) -> TaskResult {
        Ok(
            request_incident_notifications(&self.reference, self.rails.tasks(), ctx, &task)
                .await?
                .into(),
        )
    }
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::reference::notifications::{CreateNotification, IncidentChange, NotificationKind};
    use aftercommit_domain::reference::{IncidentId, UserId};
    use aftercommit_domain::tasks::Outcome;

    use super::*;
    use crate::handlers::incidents::scene::open_incident;
    use crate::handlers::scene::{Scene, skipped_because};

    #[tokio::test]
    async fn every_member_is_to_be_told_once_however_often_the_task_comes() {
        let scene = Scene::new().await;
        let handler = RequestIncidentNotificationsHandler::new(scene.harness.ports.clone(), scene.rails());
        let member = scene.join("ada@example.com").await;
        let mut task = RequestIncidentNotifications {
            organization_id: scene.caller.organization_id.clone(),
            project_id: scene.caller.project_id.clone(),
            incident_id: open_incident(&scene, "pump").await,
            change: IncidentChange::Opened,
        };
        let context = scene.context();
        for _ in 0..2 {
            assert_eq!(context.run(&handler, &task).await, Ok(Outcome::Completed));
        }
        let told = async || {
            scene
                .harness
                .waiting::<CreateNotification>()
                .await
                .into_iter()
                .map(|(task, _)| task)
        };
        let mut people: Vec<UserId> = told().await.map(|task| task.user_id).collect();
        people.sort_unstable();
        let mut members = [scene.owner, member];
        members.sort_unstable();
        assert_eq!(people, members);
        let subject = task.incident_id.uuid();
        assert!(
            told()
                .await
                .all(|task| task.kind == NotificationKind::IncidentOpened && task.subject_id == subject)
        );
        task.change = IncidentChange::Closed;
        assert_eq!(scene.context().run(&handler, &task).await, Ok(Outcome::Completed));
        assert_eq!(told().await.len(), 4);

        task.incident_id = IncidentId::new(&*scene.harness.ports.ids);
        let gone = scene.context().run(&handler, &task).await;
        assert_eq!(gone, skipped_because("the incident is gone"));
    }
}
