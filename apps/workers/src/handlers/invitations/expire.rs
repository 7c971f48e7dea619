//! `invitations`/`expire`: tells of an invitation that nobody accepted in time.

use aftercommit_domain::reference::ReferencePorts;
use aftercommit_domain::reference::invitations::ExpireInvitation;
use aftercommit_domain::reference::invitations::use_cases::expire_invitation;
use aftercommit_domain::tasks::{TaskContext, TaskHandler, TaskResult};
use async_trait::async_trait;

/// Nothing but the use case: the expiry is recorded and told of in one transaction.
pub(crate) struct ExpireInvitationHandler {
    reference: ReferencePorts,
}

impl ExpireInvitationHandler {
    pub(crate) const fn new(reference: ReferencePorts) -> Self {
        Self { reference }
    }
}

#[async_trait]
impl TaskHandler<ExpireInvitation> for ExpireInvitationHandler {
    async fn handle(&self, task: ExpireInvitation, ctx: &TaskContext) -> TaskResult {
        Ok(expire_invitation(&self.reference, ctx.cause(), &task).await?.into())
    }
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::contract::Cause;
    use aftercommit_domain::ids::MessageId;
    use aftercommit_domain::reference::RequestContext;
    use aftercommit_domain::reference::invitations::use_cases::{prolong_invitation, revoke_invitation};
    use aftercommit_domain::reference::invitations::{InvitationExpired, InvitationProlonged};
    use aftercommit_domain::tasks::{
        Coalescing, Outcome, QueuePublisherExt as _, TaskInspector, TaskOptions, TaskState,
    };
    use aftercommit_domain::time::days;

    use super::*;
    use crate::handlers::scene::{Scene, skipped_because};

    async fn invite(scene: &Scene) -> ExpireInvitation {
        let sent = scene.invite(None).await;
        ExpireInvitation {
            organization_id: sent.organization_id,
            project_id: scene.caller.project_id.clone(),
            invitation_id: sent.invitation_id,
        }
    }

    #[tokio::test]
    async fn an_invitation_nobody_accepted_expires_once_and_tells_of_it() {
        let scene = Scene::new().await;
        let handler = ExpireInvitationHandler::new(scene.harness.ports.clone());
        let task = invite(&scene).await;
        scene.harness.services.clock.advance(days(7));
        let first = scene.context().run(&handler, &task).await;
        assert_eq!(first, Ok(Outcome::Completed));
        let again = scene.context().run(&handler, &task).await;
        assert_eq!(again, skipped_because("the invitation expired earlier"));
        let events = scene.harness.take_events().await;
        assert_eq!(events.len(), 1);
        let expired: InvitationExpired = scene.harness.read(events.first().unwrap());
        assert_eq!(expired.invitation_id, task.invitation_id);
    }

    #[tokio::test]
    async fn a_revoked_invitation_does_not_expire() {
        let scene = Scene::new().await;
        let handler = ExpireInvitationHandler::new(scene.harness.ports.clone());
        let task = invite(&scene).await;
        let request = RequestContext::default();
        revoke_invitation(&scene.harness.ports, &scene.caller, &request, task.invitation_id)
            .await
            .unwrap();
        scene.harness.services.clock.advance(days(7));
        let result = scene.context().run(&handler, &task).await;
        assert_eq!(result, skipped_because("the invitation was revoked"));
        assert!(scene.harness.take_events().await.is_empty());
    }

    #[tokio::test]
    async fn before_its_time_an_invitation_waits() {
        let scene = Scene::new().await;
        let handler = ExpireInvitationHandler::new(scene.harness.ports.clone());
        let task = invite(&scene).await;
        scene.harness.services.clock.advance(days(6));
        let result = scene.context().run(&handler, &task).await;
        assert_eq!(result, Ok(Outcome::Snoozed(days(1))));
    }

    #[tokio::test]
    async fn a_prolonged_invitation_waits_for_its_new_date() {
        let scene = Scene::new().await;
        let handler = ExpireInvitationHandler::new(scene.harness.ports.clone());
        let task = invite(&scene).await;
        scene.harness.services.clock.advance(days(6));
        let (ports, request) = (&scene.harness.ports, RequestContext::default());
        prolong_invitation(ports, &scene.caller, &request, task.invitation_id)
            .await
            .unwrap();
        scene.harness.services.clock.advance(days(1));
        let early = scene.context().run(&handler, &task).await;
        assert_eq!(early, Ok(Outcome::Snoozed(days(6))));
        let events = scene.harness.take_events().await;
        let prolonged: InvitationProlonged = scene.harness.read(events.first().unwrap());
        assert_eq!(ExpireInvitation::from(&prolonged), task);
    }

    /// Puts the expiry on its topic, as its route does. Answers the id of its task.
    async fn wait_for(scene: &Scene, task: &ExpireInvitation) -> MessageId {
        let options = TaskOptions {
            delay: Some(days(7)),
            ..TaskOptions::coalesced(Coalescing::replace(task.invitation_id))
        };
        let envelopes = &scene.harness.services.envelopes;
        let provider = &scene.harness.provider;
        provider
            .publish_task(envelopes, task.clone(), options, &Cause::root())
            .await
            .unwrap()
    }

    async fn how_it_ended(scene: &Scene, task: MessageId) -> (TaskState, Option<String>) {
        let found = TaskInspector::find(&scene.harness.provider, task).await.unwrap();
        let summary = found.unwrap().summary;
        (summary.state, summary.reason)
    }

    #[tokio::test]
    async fn the_expiry_that_waits_is_cancelled_with_the_transaction_that_revokes_the_invitation() {
        let scene = Scene::new().await;
        let task = invite(&scene).await;
        let id = wait_for(&scene, &task).await;
        let (ports, request) = (&scene.harness.ports, RequestContext::default());
        scene.harness.store.refuse_commits(true);
        let refused = revoke_invitation(ports, &scene.caller, &request, task.invitation_id).await;
        assert!(refused.is_err());
        assert_eq!(
            how_it_ended(&scene, id).await,
            (TaskState::Scheduled, None),
            "nothing was committed"
        );
        scene.harness.store.refuse_commits(false);
        revoke_invitation(ports, &scene.caller, &request, task.invitation_id)
            .await
            .unwrap();
        let reason = "the invitation was revoked".to_owned();
        assert_eq!(how_it_ended(&scene, id).await, (TaskState::Cancelled, Some(reason)));
    }
}
