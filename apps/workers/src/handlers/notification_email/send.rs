//! `notification-email`/`send`: sends the e-mail of a notification, if its recipient wants it.

use std::sync::Arc;

use aftercommit_domain::effects::EmailSender;
use aftercommit_domain::reference::digests::WeeklyDigest;
use aftercommit_domain::reference::notifications::SendNotificationEmail;
use aftercommit_domain::reference::notifications::use_cases::{
    NotificationContent, NotificationEmail, claim_notification_email, record_notification_email,
};
use aftercommit_domain::reference::{Progress, ReferencePorts};
use aftercommit_domain::tasks::{Outcome, TaskContext, TaskHandler, TaskResult, completed, skipped};
use async_trait::async_trait;

use crate::handlers::expiry::for_people;
use crate::templates::{NotificationValues, Templates};

/// Loads, claims, sends, records. Deleted, sent already or not wanted is skipped. A crash between any two of them leaves an
/// e-mail unsent, which the redelivered task sends, or sent and unrecorded, which it sends again under the same key.
pub(crate) struct SendNotificationEmailHandler {
    reference: ReferencePorts,
    email: Arc<dyn EmailSender>,
    templates: Arc<Templates>,
}

impl SendNotificationEmailHandler {
    pub(crate) fn new(reference: ReferencePorts, email: Arc<dyn EmailSender>, templates: Arc<Templates>) -> Self {
        Self {
            reference,
            email,
            templates,
        }
    }
}

#[async_trait]
impl TaskHandler<SendNotificationEmail> for SendNotificationEmailHandler {
    async fn handle(&self, task: SendNotificationEmail, ctx: &TaskContext) -> TaskResult {
        let notification = match claim_notification_email(&self.reference, ctx.cause(), &task, ctx.task_id()).await? {
            Progress::Done(notification) => notification,
            Progress::NotWanted(reason) => return skipped(reason),
            Progress::NotYet(after) => return Ok(Outcome::Snoozed(after)),
        };
        let values = values_of(&notification);
        let email = self.templates.notification(notification.to, &values)?;
        self.email.send(email, &ctx.idempotency_key()).await?;
        record_notification_email(&self.reference, ctx.cause(), &task).await?;
        completed()
    }
}

fn values_of(notification: &NotificationEmail) -> NotificationValues {
    let (headline, lines) = match &notification.content {
        NotificationContent::IncidentOpened(incident) => {
            let source = incident.source.as_str();
            let since = for_people(incident.told_at);
            (format!("{source} is in trouble"), vec![format!("Since {since}.")])
        }
        NotificationContent::IncidentClosed(incident) => {
            let source = incident.source.as_str();
            let (since, until) = (for_people(incident.told_at), for_people(incident.last_told_at()));
            let lines = vec![format!("It was in trouble from {since} to {until}.")];
            (format!("{source} is fine again"), lines)
        }
        NotificationContent::WeeklyDigest(digest) => {
            let (from, until) = (WeeklyDigest::beginning_of(digest.until), digest.until);
            let lines = vec![
                format!("From {} to {}:", for_people(from), for_people(until)),
                format!("Records: {}", digest.records),
                format!("Incidents opened: {}", digest.incidents_opened),
                format!("Incidents closed: {}", digest.incidents_closed),
            ];
            ("Your week".to_owned(), lines)
        }
        NotificationContent::ExportReady(export) => {
            let lines = vec![
                format!("Rows: {}", export.state.rows()),
                format!("Its number is {}; ask for it to get a link.", export.id),
            ];
            ("Your export is ready".to_owned(), lines)
        }
        NotificationContent::ExportFailed(export) => {
            let lines = vec![format!("Its number is {}; ask for it to see why.", export.id)];
            ("Your export could not be made".to_owned(), lines)
        }
    };
    NotificationValues {
        project_name: notification.project_name.to_string(),
        headline,
        lines,
        notification_id: notification.notification_id.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::contract::Cause;
    use aftercommit_domain::effects::EmailError;
    use aftercommit_domain::reference::NotificationId;
    use aftercommit_domain::reference::notifications::use_cases::set_notification_preferences;
    use aftercommit_domain::reference::notifications::{NotificationKind, NotificationPreferences};
    use aftercommit_domain::time::minutes;
    use aftercommit_testkit::SendStep;

    use super::*;
    use crate::handlers::digests::scene::generate;
    use crate::handlers::incidents::scene::open_incident;
    use crate::handlers::notifications::scene::notify;
    use crate::handlers::scene::{Scene, failure_code, skipped_because};

    fn handler(scene: &Scene) -> SendNotificationEmailHandler {
        SendNotificationEmailHandler::new(scene.harness.ports.clone(), scene.mail.clone(), scene.templates.clone())
    }

    /// The owner is told of an incident.
    async fn told(scene: &Scene) -> SendNotificationEmail {
        let incident = open_incident(scene, "pump").await;
        notify(scene, (NotificationKind::IncidentOpened, incident.uuid())).await
    }

    #[tokio::test]
    async fn an_incident_and_a_week_are_mailed_with_what_they_are_about_and_once() {
        let scene = Scene::new().await;
        let task = told(&scene).await;
        assert_eq!(
            scene.context().run(&handler(&scene), &task).await,
            Ok(Outcome::Completed)
        );
        let again = scene.context().run(&handler(&scene), &task).await;
        assert_eq!(again, skipped_because("the e-mail was sent already"));
        let digest = generate(&scene).await.digest_id;
        let week = notify(&scene, (NotificationKind::WeeklyDigest, digest.uuid())).await;
        assert_eq!(
            scene.context().run(&handler(&scene), &week).await,
            Ok(Outcome::Completed)
        );
        let sent = scene.mail.sent();
        let [incident, week] = sent.as_slice() else {
            panic!("two e-mails: {sent:?}");
        };
        assert_eq!(incident.email.to.as_str(), "owner@acme.test");
        assert_eq!(incident.email.subject, "Acme: pump is in trouble");
        let id = task.notification_id.to_string();
        assert!(incident.email.text.contains("Since 1 January 2026") && incident.email.text.contains(&id));
        assert_eq!(week.email.subject, "Acme: Your week");
        assert!(week.email.html.contains("Incidents opened: 2"), "{}", week.email.html);
    }

    #[tokio::test]
    async fn what_is_deleted_or_not_wanted_is_skipped_and_another_kind_is_not() {
        let scene = Scene::new().await;
        let task = told(&scene).await;
        let wanted = NotificationPreferences {
            incident_emails: false,
            digest_emails: true,
        };
        let ports = &scene.harness.ports;
        set_notification_preferences(ports, &scene.caller, &Cause::root(), scene.owner, wanted)
            .await
            .unwrap();
        let unwanted = scene.context().run(&handler(&scene), &task).await;
        assert_eq!(unwanted, skipped_because("its recipient wants no such e-mail"));
        let digest = generate(&scene).await.digest_id;
        let week = notify(&scene, (NotificationKind::WeeklyDigest, digest.uuid())).await;
        assert_eq!(
            scene.context().run(&handler(&scene), &week).await,
            Ok(Outcome::Completed)
        );
        let deleted = SendNotificationEmail {
            notification_id: NotificationId::new(&*ports.ids),
            ..task
        };
        let deleted = scene.context().run(&handler(&scene), &deleted).await;
        assert_eq!(deleted, skipped_because("the notification was deleted"));
        assert_eq!(scene.mail.attempts(), 1);
    }

    /// Load | claim: nothing is noted, nothing is sent; the redelivered task does both.
    #[tokio::test]
    async fn a_crash_before_the_claim_is_committed_sends_nothing_and_the_task_that_comes_again_sends_once() {
        let scene = Scene::new().await;
        let (task, run) = (told(&scene).await, scene.context());
        scene.harness.store.refuse_commits(true);
        assert_eq!(
            failure_code(run.run(&handler(&scene), &task).await),
            "commit.rolled_back"
        );
        assert_eq!(scene.mail.attempts(), 0);
        scene.harness.store.refuse_commits(false);
        assert_eq!(run.run(&handler(&scene), &task).await, Ok(Outcome::Completed));
        assert_eq!(scene.mail.sent().len(), 1);
    }

    /// Claim | send: claimed and not sent; the redelivered task takes its own claim over, another one waits.
    #[tokio::test]
    async fn a_crash_between_claim_and_send_loses_nothing_and_another_task_waits_for_the_claim() {
        let scene = Scene::new().await;
        let (task, run) = (told(&scene).await, scene.context());
        let claimed =
            claim_notification_email(&scene.harness.ports, &Cause::root(), &task, run.build().task_id()).await;
        assert!(matches!(claimed, Ok(Progress::Done(_))));
        let other = scene.context();
        assert_eq!(
            other.run(&handler(&scene), &task).await,
            Ok(Outcome::Snoozed(minutes(2)))
        );
        assert_eq!(run.run(&handler(&scene), &task).await, Ok(Outcome::Completed));
        let late = other.run(&handler(&scene), &task).await;
        assert_eq!(late, skipped_because("the e-mail was sent already"));
        assert_eq!(scene.mail.sent().len(), 1);
    }

    #[tokio::test]
    async fn a_claim_whose_task_never_comes_again_holds_nobody_up_for_long() {
        let scene = Scene::new().await;
        let (task, lost) = (told(&scene).await, scene.context());
        let claimed =
            claim_notification_email(&scene.harness.ports, &Cause::root(), &task, lost.build().task_id()).await;
        assert!(matches!(claimed, Ok(Progress::Done(_))));
        scene.harness.services.clock.advance(minutes(2) + minutes(1));
        assert_eq!(
            scene.context().run(&handler(&scene), &task).await,
            Ok(Outcome::Completed)
        );
    }

    /// Send | record: sent and not noted; it is sent again under the same key, which is what the guarantees allow.
    #[tokio::test]
    async fn a_crash_between_send_and_record_sends_again_under_the_same_key_and_no_more_than_that() {
        let scene = Scene::new().await;
        let (task, run) = (told(&scene).await, scene.context());
        scene.mail.script([SendStep::AcceptThenLoseReply, SendStep::Accept]);
        assert_eq!(failure_code(run.run(&handler(&scene), &task).await), "smtp.unavailable");
        assert_eq!(
            run.attempt(2).run(&handler(&scene), &task).await,
            Ok(Outcome::Completed)
        );
        let again = scene.context().run(&handler(&scene), &task).await;
        assert_eq!(again, skipped_because("the e-mail was sent already"));
        let sent = scene.mail.sent();
        assert_eq!(sent.len(), 2);
        assert!(
            sent.iter()
                .all(|one| one.key == sent[0].key && one.email == sent[0].email)
        );
    }

    #[tokio::test]
    async fn a_refused_send_is_not_recorded_as_sent() {
        let scene = Scene::new().await;
        let (task, run) = (told(&scene).await, scene.context());
        let refused = EmailError::Refused { reason: "550".into() };
        scene.mail.script([SendStep::Reject(refused)]);
        assert_eq!(failure_code(run.run(&handler(&scene), &task).await), "smtp.refused");
        assert_eq!(run.run(&handler(&scene), &task).await, Ok(Outcome::Completed));
    }
}
