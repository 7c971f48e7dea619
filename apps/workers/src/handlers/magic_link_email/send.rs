//! `magic-link-email`/`send`: sends a magic link.

use std::sync::Arc;

use aftercommit_domain::effects::EmailSender;
use aftercommit_domain::reference::identity::SendMagicLinkEmail;
use aftercommit_domain::reference::identity::use_cases::{MagicLinkVariant, load_magic_link_email};
use aftercommit_domain::reference::{Progress, ReferencePorts};
use aftercommit_domain::tasks::{Outcome, TaskContext, TaskHandler, TaskResult, completed, skipped};
use async_trait::async_trait;

use crate::handlers::expiry;
use crate::templates::{MagicLinkValues, Templates};

/// Sends the link in the variant that fits who it is for. The address and the link are taken out of their seal here, at
/// the moment of sending, and nowhere else. Nothing is recorded: a link that is sent twice works once.
pub(crate) struct SendMagicLinkEmailHandler {
    reference: ReferencePorts,
    email: Arc<dyn EmailSender>,
    templates: Arc<Templates>,
}

impl SendMagicLinkEmailHandler {
    pub(crate) fn new(reference: ReferencePorts, email: Arc<dyn EmailSender>, templates: Arc<Templates>) -> Self {
        Self {
            reference,
            email,
            templates,
        }
    }
}

#[async_trait]
impl TaskHandler<SendMagicLinkEmail> for SendMagicLinkEmailHandler {
    async fn handle(&self, task: SendMagicLinkEmail, ctx: &TaskContext) -> TaskResult {
        let variant = match load_magic_link_email(&self.reference, ctx.cause(), &task).await? {
            Progress::Done(variant) => variant,
            Progress::NotWanted(reason) => return skipped(reason),
            Progress::NotYet(after) => return Ok(Outcome::Snoozed(after)),
        };
        let values = MagicLinkValues {
            signs_up: variant == MagicLinkVariant::SignUp,
            url: task.magic_link_url.expose(),
            expires_at: &expiry::for_people(task.expires_at),
        };
        let email = self.templates.magic_link(task.email.expose().clone(), &values)?;
        self.email.send(email, &ctx.idempotency_key()).await?;
        completed()
    }
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::reference::RequestContext;
    use aftercommit_domain::reference::identity::MagicLinkEmailRequested;
    use aftercommit_domain::reference::identity::use_cases::{
        RequestMagicLink, SignIn, follow_magic_link, request_magic_link,
    };
    use aftercommit_domain::time::minutes;

    use super::*;
    use crate::handlers::scene::{Scene, skipped_because};

    fn handler(scene: &Scene) -> SendMagicLinkEmailHandler {
        SendMagicLinkEmailHandler::new(scene.harness.ports.clone(), scene.mail.clone(), scene.templates.clone())
    }

    async fn ask(scene: &Scene, email: &str) -> SendMagicLinkEmail {
        let input = RequestMagicLink { email: email.into() };
        request_magic_link(&scene.harness.ports, &RequestContext::default(), input)
            .await
            .unwrap();
        let events = scene.harness.take_events().await;
        SendMagicLinkEmail::from(&scene.harness.read::<MagicLinkEmailRequested>(events.last().unwrap()))
    }

    async fn follow(scene: &Scene) -> SignIn {
        let tokens = scene.mailed_tokens();
        follow_magic_link(&scene.harness.ports, &RequestContext::default(), tokens.last().unwrap())
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn the_mailed_link_signs_in_someone_known() {
        let scene = Scene::new().await;
        let task = ask(&scene, "owner@acme.test").await;
        let result = scene.context().run(&handler(&scene), &task).await;
        assert_eq!(result, Ok(Outcome::Completed));
        let sent = scene.mail.sent();
        assert_eq!(sent.first().unwrap().email.subject, "Your sign-in link");
        assert!(follow(&scene).await.signed_up.is_none());
    }

    #[tokio::test]
    async fn someone_unknown_gets_a_link_that_signs_up() {
        let scene = Scene::new().await;
        let task = ask(&scene, "new@example.com").await;
        scene.context().run(&handler(&scene), &task).await.unwrap();
        let sent = scene.mail.sent();
        assert_eq!(sent.first().unwrap().email.subject, "Finish signing up");
        assert_eq!(sent.first().unwrap().email.to.as_str(), "new@example.com");
        assert!(follow(&scene).await.signed_up.is_some());
    }

    #[tokio::test]
    async fn a_link_that_has_expired_is_not_mailed() {
        let scene = Scene::new().await;
        let task = ask(&scene, "owner@acme.test").await;
        scene.harness.services.clock.advance(minutes(15));
        let result = scene.context().run(&handler(&scene), &task).await;
        assert_eq!(result, skipped_because("the magic link has expired"));
        assert_eq!(scene.mail.attempts(), 0);
    }

    #[tokio::test]
    async fn a_link_that_was_followed_is_not_mailed_again() {
        let scene = Scene::new().await;
        let task = ask(&scene, "owner@acme.test").await;
        scene.context().run(&handler(&scene), &task).await.unwrap();
        follow(&scene).await;
        let result = scene.context().run(&handler(&scene), &task).await;
        assert_eq!(result, skipped_because("the magic link was followed already"));
    }
}
