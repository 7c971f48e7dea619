//! The topic `notifications`.

mod create_notification;
mod delete_by_project;
mod request_digest_notifications;
mod request_incident_notifications;

pub(crate) use create_notification::CreateNotificationHandler;
pub(crate) use delete_by_project::DeleteNotificationsHandler;
pub(crate) use request_digest_notifications::RequestDigestNotificationsHandler;
pub(crate) use request_incident_notifications::RequestIncidentNotificationsHandler;

#[cfg(test)]
pub(super) mod scene {
    use aftercommit_domain::contract::{BoundedText, Cause};
    use aftercommit_domain::reference::notifications::use_cases::create_notification;
    use aftercommit_domain::reference::notifications::{
        CreateNotification, NotificationCreated, NotificationKind, SendNotificationEmail,
    };
    use aftercommit_domain::reference::{Progress, UserId};
    use uuid::Uuid;

    use crate::handlers::scene::Scene;

    /// The task that tells the person something about the caller's project.
    pub(in crate::handlers) fn create(
        scene: &Scene,
        user_id: UserId,
        (kind, subject_id): (NotificationKind, Uuid),
    ) -> CreateNotification {
        CreateNotification {
            organization_id: scene.caller.organization_id.clone(),
            project_id: scene.caller.project_id.clone(),
            user_id,
            kind,
            subject_id,
            idempotency_key: BoundedText::new(kind.key_of(subject_id)).unwrap(),
        }
    }

    /// Tells the owner something, and answers the task that follows.
    pub(in crate::handlers) async fn notify(scene: &Scene, about: (NotificationKind, Uuid)) -> SendNotificationEmail {
        let task = create(scene, scene.owner, about);
        let made = create_notification(&scene.harness.ports, &Cause::root(), &task)
            .await
            .unwrap();
        assert_eq!(made, Progress::Done(()));
        let events = scene.harness.take_events().await;
        SendNotificationEmail::from(&scene.harness.read::<NotificationCreated>(events.last().unwrap()))
    }
}
