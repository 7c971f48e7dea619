//! A product with one organization, for the handlers' tests.

use std::sync::Arc;

use aftercommit_domain::contract::{Cause, Limits, ProjectId};
use aftercommit_domain::effects::EmailAddress;
use aftercommit_domain::events::create_events_publisher;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::reference::billing::ReportOverage;
use aftercommit_domain::reference::identity::use_cases::authenticate;
use aftercommit_domain::reference::identity::{Membership, Role, User};
use aftercommit_domain::reference::invitations::use_cases::{CreateInvitation, accept_invitation, create_invitation};
use aftercommit_domain::reference::invitations::{InvitationEmailRequested, SendInvitationEmail};
use aftercommit_domain::reference::organizations::use_cases::{CreateOrganization, create_organization};
use aftercommit_domain::reference::projects::use_cases::{CreateProject, create_project, delete_project};
use aftercommit_domain::reference::usage::month_of;
use aftercommit_domain::reference::webhooks::use_cases::{
    CreateWebhook, WebhookCreation, create_webhook, list_webhooks,
};
use aftercommit_domain::reference::webhooks::{DeliverWebhook, FanOutWebhooks, WebhookEndpoint, WebhookEvent};
use aftercommit_domain::reference::{Caller, InvitationId, RequestContext, UseCaseError, UserId, WebhookId};
use aftercommit_domain::tasks::{Outcome, Reason, Stop, TaskResult};
use aftercommit_domain::workflows::WorkflowRequest;
use aftercommit_testkit::reference::ReferenceHarness;
use aftercommit_testkit::{RecordingEmailSender, TaskContextBuilder};

use crate::Rails;
use crate::templates::Templates;

/// A product with the organization "Acme", and a mail server that keeps what it gets.
pub(super) struct Scene {
    pub(super) harness: ReferenceHarness,
    pub(super) caller: Caller,
    /// Who made the organization.
    pub(super) owner: UserId,
    pub(super) mail: Arc<RecordingEmailSender>,
    pub(super) templates: Arc<Templates>,
}

impl Scene {
    pub(super) async fn new() -> Self {
        let harness = ReferenceHarness::new();
        let input = CreateOrganization {
            name: "Acme".into(),
            owner_email: "owner@acme.test".into(),
        };
        let made = create_organization(&harness.ports, &RequestContext::default(), input)
            .await
            .unwrap();
        let caller = authenticate(&harness.ports, &made.api_key).await.unwrap().unwrap();
        harness.take_events().await;
        Self {
            harness,
            caller,
            owner: made.user_id,
            mail: Arc::new(RecordingEmailSender::new()),
            templates: Arc::new(Templates::load().unwrap()),
        }
    }

    /// What handlers publish with, into the queue in memory.
    pub(super) fn rails(&self) -> Rails {
        let queue = Arc::new(self.harness.provider.clone());
        Rails {
            events: create_events_publisher(queue.clone(), Limits::default()),
            queue,
            envelopes: self.harness.services.envelopes.clone(),
        }
    }

    /// The ids of the workflows that were asked for since tasks were taken last.
    pub(super) async fn started_workflows(&self) -> Vec<String> {
        let requests = self.harness.take_tasks().await;
        let requests = requests.iter().map(|task| WorkflowRequest::from_task(task).unwrap());
        requests
            .map(|request| match request {
                WorkflowRequest::Start(start) => start.id.to_string(),
                other => panic!("no start: {other:?}"),
            })
            .collect()
    }

    pub(super) fn context(&self) -> TaskContextBuilder {
        TaskContextBuilder::new(&self.harness.services)
    }

    /// Makes a project besides the default one.
    pub(super) async fn make_project(&self, name: &str) -> ProjectId {
        let input = CreateProject { name: name.into() };
        let made = create_project(&self.harness.ports, &self.caller, &RequestContext::default(), input).await;
        made.unwrap().project_id
    }

    /// Makes a webhook of the default project that wants these events.
    pub(super) async fn make_webhook(&self, events: &[&str]) -> WebhookCreation {
        self.make_webhook_of(&self.caller.project_id, events).await
    }

    pub(super) async fn make_webhook_of(&self, project: &ProjectId, events: &[&str]) -> WebhookCreation {
        let input = CreateWebhook {
            project_id: project.clone(),
            url: "https://hooks.example.com/acme".into(),
            events: events.iter().map(|&name| name.to_owned()).collect(),
        };
        create_webhook(&self.harness.ports, &self.caller, &RequestContext::default(), input)
            .await
            .unwrap()
    }

    /// The webhooks of the default project.
    pub(super) async fn webhooks(&self) -> Vec<WebhookEndpoint> {
        let project = &self.caller.project_id;
        list_webhooks(&self.harness.ports, &self.caller, &Cause::root(), project)
            .await
            .unwrap()
    }

    /// The task that tells webhooks of the default project of an event.
    pub(super) fn fan_out(&self, event: WebhookEvent) -> FanOutWebhooks {
        FanOutWebhooks {
            organization_id: self.caller.organization_id.clone(),
            project_id: self.caller.project_id.clone(),
            event_id: MessageId::new(&*self.harness.ports.ids),
            occurred_at: self.harness.ports.now(),
            event,
        }
    }

    /// The task that tells this webhook of the default project of an event.
    pub(super) fn delivery(&self, webhook_id: WebhookId, event: WebhookEvent) -> DeliverWebhook {
        let FanOutWebhooks {
            organization_id,
            project_id,
            event_id,
            occurred_at,
            event,
        } = self.fan_out(event);
        DeliverWebhook {
            organization_id,
            project_id,
            webhook_id,
            event_id,
            occurred_at,
            event,
        }
    }

    pub(super) async fn delete_project(&self, project: &ProjectId) {
        delete_project(&self.harness.ports, &self.caller, &RequestContext::default(), project)
            .await
            .unwrap();
    }

    /// Invites Ada to the project, or the default one, and answers the task that follows.
    pub(super) async fn invite(&self, project_id: Option<ProjectId>) -> SendInvitationEmail {
        let input = CreateInvitation {
            email: "ada@example.com".into(),
            role: "member".into(),
            project_id,
        };
        create_invitation(&self.harness.ports, &self.caller, &RequestContext::default(), input)
            .await
            .unwrap();
        let events = self.harness.take_events().await;
        let requested = events.last().unwrap();
        SendInvitationEmail::from(&self.harness.read::<InvitationEmailRequested>(requested))
    }

    /// Makes somebody a member.
    pub(super) async fn join(&self, email: &str) -> UserId {
        let tenant = self.caller.tenant_of(&self.caller.project_id);
        let mut uow = self.harness.ports.units.begin(&tenant, &Cause::root()).await.unwrap();
        let user = User {
            id: UserId::new(&*self.harness.ports.ids),
            email: EmailAddress::new(email).unwrap(),
            created_at: self.harness.ports.now(),
        };
        uow.users().ensure(&user).await.unwrap();
        let membership = Membership {
            organization_id: self.caller.organization_id.clone(),
            user_id: user.id,
            role: Role::Member,
            joined_at: user.created_at,
        };
        assert!(uow.memberships().ensure(&membership).await.unwrap());
        uow.commit().await.unwrap();
        user.id
    }

    pub(super) async fn accept(&self, id: InvitationId, token: &str) -> Result<UserId, UseCaseError> {
        accept_invitation(&self.harness.ports, &RequestContext::default(), id, token)
            .await
            .map(|accepted| accepted.user_id)
    }

    /// The tokens in the links of the e-mails that were sent, oldest first.
    pub(super) fn mailed_tokens(&self) -> Vec<String> {
        let token = |text: &str| {
            let (_, rest) = text.split_once('#').unwrap();
            rest.split_whitespace().next().unwrap().to_owned()
        };
        self.mail.sent().iter().map(|sent| token(&sent.email.text)).collect()
    }
}

/// The default project used these records; answers the task that follows.
pub(super) async fn use_records(scene: &Scene, records: u32) -> ReportOverage {
    let task = ReportOverage {
        organization_id: scene.caller.organization_id.clone(),
        project_id: scene.caller.project_id.clone(),
        month: month_of(scene.harness.ports.now()),
    };
    let tenant = scene.caller.tenant_of(&task.project_id);
    let mut uow = scene.harness.ports.units.begin(&tenant, &Cause::root()).await.unwrap();
    let added = uow.usage().add_batch(&task.project_id, task.month, records).await;
    added.unwrap();
    uow.commit().await.unwrap();
    task
}

#[expect(clippy::unnecessary_wraps, reason = "compared with what a handler returns")]
pub(super) fn skipped_because(reason: &str) -> TaskResult {
    Ok(Outcome::Skipped(Reason::new(reason)))
}

/// The code of the failure a run ended with.
pub(super) fn failure_code(result: TaskResult) -> String {
    match result {
        Err(Stop::Failed { failure, .. }) => failure.code.into_owned(),
        other => panic!("it did not fail: {other:?}"),
    }
}
