//! `invitation-email`/`send`: sends the e-mail of an invitation.

use std::sync::Arc;

use aftercommit_domain::effects::EmailSender;
use aftercommit_domain::reference::invitations::SendInvitationEmail;
use aftercommit_domain::reference::invitations::use_cases::{claim_invitation_email, record_invitation_email};
use aftercommit_domain::reference::{Progress, ReferencePorts};
use aftercommit_domain::tasks::{Outcome, TaskContext, TaskHandler, TaskResult, completed, skipped};
use async_trait::async_trait;

use crate::handlers::expiry;
use crate::templates::{InvitationValues, Templates};

/// Claims, sends, records. A crash between any two of them leaves an e-mail unsent, which the redelivered task sends, or
/// sent and unrecorded, which it sends again under the same key; a link that was mailed works in either case.
pub(crate) struct SendInvitationEmailHandler {
    reference: ReferencePorts,
    email: Arc<dyn EmailSender>,
    templates: Arc<Templates>,
}

impl SendInvitationEmailHandler {
    pub(crate) fn new(reference: ReferencePorts, email: Arc<dyn EmailSender>, templates: Arc<Templates>) -> Self {
        Self {
            reference,
            email,
            templates,
        }
    }
}

#[async_trait]
impl TaskHandler<SendInvitationEmail> for SendInvitationEmailHandler {
    async fn handle(&self, task: SendInvitationEmail, ctx: &TaskContext) -> TaskResult {
        let invitation = match claim_invitation_email(&self.reference, ctx.cause(), &task, ctx.task_id()).await? {
            Progress::Done(invitation) => invitation,
            Progress::NotWanted(reason) => return skipped(reason),
            Progress::NotYet(after) => return Ok(Outcome::Snoozed(after)),
        };
        let values = InvitationValues {
            organization_name: invitation.organization_name.as_str(),
            role: invitation.role.as_str(),
            url: invitation.url.expose(),
            expires_at: &expiry::for_people(invitation.expires_at),
        };
        let email = self.templates.invitation(invitation.to, &values)?;
        self.email.send(email, &ctx.idempotency_key()).await?;
        record_invitation_email(&self.reference, ctx.cause(), &task).await?;
        completed()
    }
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::effects::EmailError;
    use aftercommit_domain::reference::InvitationId;
    use aftercommit_domain::reference::RequestContext;
    use aftercommit_domain::reference::invitations::use_cases::revoke_invitation;
    use aftercommit_domain::time::{days, minutes};
    use aftercommit_testkit::SendStep;

    use super::*;
    use crate::handlers::scene::{Scene, failure_code, skipped_because};

    fn handler(scene: &Scene) -> SendInvitationEmailHandler {
        SendInvitationEmailHandler::new(scene.harness.ports.clone(), scene.mail.clone(), scene.templates.clone())
    }

    #[tokio::test]
    async fn an_invitation_is_mailed_with_a_link_that_accepts_it() {
        let scene = Scene::new().await;
        let task = scene.invite(None).await;
        let result = scene.context().run(&handler(&scene), &task).await;
        assert_eq!(result, Ok(Outcome::Completed));
        let sent = scene.mail.sent();
        assert_eq!(sent.len(), 1);
        let email = &sent.first().unwrap().email;
        assert_eq!(email.to.as_str(), "ada@example.com");
        assert_eq!(email.subject, "You are invited to Acme");
        assert!(email.text.contains("until 8 January 2026, 00:00 UTC"), "{}", email.text);
        let tokens = scene.mailed_tokens();
        scene.accept(task.invitation_id, tokens.first().unwrap()).await.unwrap();
    }

    #[tokio::test]
    async fn a_revoked_invitation_is_skipped_with_its_reason() {
        let scene = Scene::new().await;
        let task = scene.invite(None).await;
        revoke_invitation(
            &scene.harness.ports,
            &scene.caller,
            &RequestContext::default(),
            task.invitation_id,
        )
        .await
        .unwrap();
        let result = scene.context().run(&handler(&scene), &task).await;
        assert_eq!(result, skipped_because("the invitation was revoked"));
        assert_eq!(scene.mail.attempts(), 0);
    }

    #[tokio::test]
    async fn an_accepted_an_expired_and_a_missing_invitation_are_skipped() {
        let scene = Scene::new().await;
        let accepted = scene.invite(None).await;
        scene.context().run(&handler(&scene), &accepted).await.unwrap();
        scene
            .accept(accepted.invitation_id, scene.mailed_tokens().first().unwrap())
            .await
            .unwrap();
        let result = scene.context().run(&handler(&scene), &accepted).await;
        assert_eq!(result, skipped_because("the invitation was accepted"));

        let expired = scene.invite(None).await;
        scene.harness.services.clock.advance(days(7));
        let result = scene.context().run(&handler(&scene), &expired).await;
        assert_eq!(result, skipped_because("the invitation has expired"));

        let gone = SendInvitationEmail {
            invitation_id: InvitationId::new(&*scene.harness.ports.ids),
            ..expired
        };
        let result = scene.context().run(&handler(&scene), &gone).await;
        assert_eq!(result, skipped_because("the invitation is gone"));
        assert_eq!(scene.mail.attempts(), 1);
    }

    #[tokio::test]
    async fn an_invitation_to_a_deleted_project_is_skipped() {
        let scene = Scene::new().await;
        let project = scene.make_project("Doomed").await;
        let task = scene.invite(Some(project.clone())).await;
        scene.delete_project(&project).await;
        let result = scene.context().run(&handler(&scene), &task).await;
        assert_eq!(result, skipped_because("the project was deleted"));
    }

    #[tokio::test]
    async fn an_email_that_was_sent_is_not_sent_again() {
        let scene = Scene::new().await;
        let task = scene.invite(None).await;
        scene.context().run(&handler(&scene), &task).await.unwrap();
        let result = scene.context().run(&handler(&scene), &task).await;
        assert_eq!(result, skipped_because("the e-mail was sent already"));
        assert_eq!(scene.mail.attempts(), 1);
    }

    #[tokio::test]
    async fn when_the_reply_is_lost_it_is_sent_again_under_the_same_key_and_both_links_work() {
        let scene = Scene::new().await;
        let task = scene.invite(None).await;
        scene.mail.script([SendStep::AcceptThenLoseReply, SendStep::Accept]);
        let run = scene.context();
        let first = run.run(&handler(&scene), &task).await;
        assert_eq!(failure_code(first), "smtp.unavailable");
        let second = run.attempt(2).run(&handler(&scene), &task).await;
        assert_eq!(second, Ok(Outcome::Completed));

        let keys: Vec<_> = scene.mail.sent().into_iter().map(|sent| sent.key).collect();
        assert_eq!(keys.first(), keys.get(1));
        let tokens = scene.mailed_tokens();
        assert_ne!(tokens.first(), tokens.get(1));
        let mut people = Vec::new();
        for token in &tokens {
            people.push(scene.accept(task.invitation_id, token).await.unwrap());
        }
        assert_eq!(people.first(), people.get(1));
    }

    #[tokio::test]
    async fn a_refused_send_is_not_recorded_as_sent() {
        let scene = Scene::new().await;
        let task = scene.invite(None).await;
        let refused = EmailError::Refused { reason: "550".into() };
        scene.mail.script([SendStep::Reject(refused)]);
        let run = scene.context();
        assert_eq!(failure_code(run.run(&handler(&scene), &task).await), "smtp.refused");
        assert_eq!(run.run(&handler(&scene), &task).await, Ok(Outcome::Completed));
    }

    #[tokio::test]
    async fn while_one_task_may_be_sending_another_one_waits() {
        let scene = Scene::new().await;
        let task = scene.invite(None).await;
        scene.mail.script([SendStep::AcceptThenLoseReply]);
        scene.context().run(&handler(&scene), &task).await.unwrap_err();
        let other = scene.context();
        assert_eq!(
            other.run(&handler(&scene), &task).await,
            Ok(Outcome::Snoozed(minutes(2)))
        );
        scene.harness.services.clock.advance(minutes(2) + minutes(1));
        assert_eq!(other.run(&handler(&scene), &task).await, Ok(Outcome::Completed));
    }

    #[tokio::test]
    async fn no_link_is_mailed_whose_token_was_not_committed() {
        let scene = Scene::new().await;
        let task = scene.invite(None).await;
        scene.harness.store.refuse_commits(true);
        let result = scene.context().run(&handler(&scene), &task).await;
        assert_eq!(failure_code(result), "commit.rolled_back");
        assert_eq!(scene.mail.attempts(), 0);
    }
}
