use aftercommit_domain::effects::{ForbiddenUrl, WebhookError, WebhookNetwork};
use aftercommit_domain::failure::ErrorClass;
use aftercommit_domain::reference::RequestContext;
use aftercommit_domain::reference::webhooks::use_cases::{WebhookCreation, delete_webhook};
use aftercommit_domain::reference::webhooks::{
    DISABLED_AFTER, EndpointState, FAILURES_BEFORE_COOL_DOWN, WebhookEndpointDisabled, WebhookEvent,
};
use aftercommit_domain::tasks::Stop;
use aftercommit_domain::time::{hours, minutes, seconds};
use aftercommit_testkit::{RecordingWebhookSender, WebhookStep};
use serde_json::{Value, json};

use super::*;
use crate::handlers::scene::{Scene, failure_code, skipped_because};

/// A product with one webhook, and receivers that do as told.
struct Wired {
    scene: Scene,
    sender: Arc<RecordingWebhookSender>,
    handler: DeliverWebhookHandler,
    webhook: WebhookCreation,
    task: DeliverWebhook,
}

async fn wired() -> Wired {
    let scene = Scene::new().await;
    let webhook = scene.make_webhook(&["FirstRecordReceived", "MemberJoined"]).await;
    scene.harness.take_events().await;
    let sender = Arc::new(RecordingWebhookSender::new());
    let handler = DeliverWebhookHandler::new(scene.harness.ports.clone(), sender.clone());
    let task = scene.delivery(webhook.webhook_id, WebhookEvent::FirstRecordReceived {});
    Wired {
        scene,
        sender,
        handler,
        webhook,
        task,
    }
}

impl Wired {
    async fn run(&self) -> TaskResult {
        self.scene.context().run(&self.handler, &self.task).await
    }

    async fn state(&self) -> EndpointState {
        let found = self.scene.webhooks().await;
        let now = self.scene.harness.ports.now();
        found.first().unwrap().state_at(now)
    }

    fn fail(&self, status: u16, times: usize) {
        let step = WebhookStep::Fail(WebhookError::of_status(status, None));
        self.sender.script(vec![step; times]);
    }
}

#[tokio::test]
async fn a_webhook_is_told_signed_with_its_secret_under_the_tasks_id() {
    let wired = wired().await;
    let context = wired.scene.context();
    assert_eq!(context.run(&wired.handler, &wired.task).await, Ok(Outcome::Completed));
    let [sent] = &wired.sender.sent()[..] else {
        panic!("{:?}", wired.sender.sent())
    };
    assert_eq!(sent.key.as_str(), context.build().task_id().to_string());
    assert_eq!(sent.request.url.as_str(), "https://hooks.example.com/acme");
    assert_eq!(sent.request.secret.expose(), wired.webhook.secret);
    assert_eq!(sent.request.sent_at, wired.scene.harness.ports.now());
    let body: Value = serde_json::from_str(&sent.request.body).unwrap();
    assert_eq!(
        body,
        json!({
            "type": "FirstRecordReceived",
            "data": {},
            "event_id": wired.task.event_id,
            "timestamp": wired.task.occurred_at,
            "organization_id": wired.task.organization_id,
            "project_id": wired.task.project_id,
        })
    );
}

#[tokio::test]
async fn one_whose_reply_was_lost_is_told_again_with_the_same_words_under_the_same_id() {
    let wired = wired().await;
    let context = wired.scene.context();
    wired.sender.script([WebhookStep::AcceptThenLoseReply]);
    let lost = context.run(&wired.handler, &wired.task).await;
    assert_eq!(failure_code(lost), "webhook.no_answer");
    let again = context.clone().attempt(2).run(&wired.handler, &wired.task).await;
    assert_eq!(again, Ok(Outcome::Completed));
    let [first, second] = &wired.sender.sent()[..] else {
        panic!("{:?}", wired.sender.sent())
    };
    assert_eq!((&first.key, &first.request.body), (&second.key, &second.request.body));
}

#[tokio::test]
async fn one_that_was_taken_and_not_recorded_is_told_again_under_the_same_id() {
    let wired = wired().await;
    let context = wired.scene.context();
    wired.fail(500, 1);
    assert!(context.run(&wired.handler, &wired.task).await.is_err());
    wired.scene.harness.store.refuse_commits(true);
    let unrecorded = context.clone().attempt(2).run(&wired.handler, &wired.task).await;
    assert!(unrecorded.is_err(), "{unrecorded:?}");
    wired.scene.harness.store.refuse_commits(false);
    let again = context.clone().attempt(3).run(&wired.handler, &wired.task).await;
    assert_eq!(again, Ok(Outcome::Completed));
    let sent = wired.sender.sent();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent.first().unwrap().key, sent.last().unwrap().key);
    assert_eq!(wired.state().await, EndpointState::Active);
}

#[tokio::test]
async fn what_is_gone_by_the_time_is_not_told_of() {
    let wired = wired().await;
    let mut task = wired.task.clone();
    task.event = WebhookEvent::InvitationExpired {
        invitation_id: "0192f0c1-0000-7000-8000-00000000ffff".parse().unwrap(),
    };
    let skipped = wired.scene.context().run(&wired.handler, &task).await;
    assert_eq!(skipped, skipped_because("the invitation is gone"));

    let project = wired.scene.make_project("Doomed").await;
    let made = wired.scene.make_webhook_of(&project, &["FirstRecordReceived"]).await;
    wired.scene.delete_project(&project).await;
    let mut task = wired
        .scene
        .delivery(made.webhook_id, WebhookEvent::FirstRecordReceived {});
    task.project_id = project;
    let skipped = wired.scene.context().run(&wired.handler, &task).await;
    assert_eq!(skipped, skipped_because("the project was deleted"));
    task.event = WebhookEvent::ProjectDeleted {};
    let told = wired.scene.context().run(&wired.handler, &task).await;
    assert_eq!(told, Ok(Outcome::Completed));

    let (ports, caller) = (&wired.scene.harness.ports, &wired.scene.caller);
    let request = RequestContext::default();
    delete_webhook(ports, caller, &request, &caller.project_id, wired.webhook.webhook_id)
        .await
        .unwrap();
    assert_eq!(wired.run().await, skipped_because("the webhook was deleted"));
    assert_eq!(wired.sender.attempts(), 1);
}

#[tokio::test]
async fn an_error_ends_the_attempt_by_its_class_and_a_retry_after_is_honoured() {
    let wired = wired().await;
    let forbidden = ForbiddenUrl::new("its name leads inside", WebhookNetwork::Public);
    for (error, class, retry_after) in [
        (WebhookError::of_status(500, None), ErrorClass::Retryable, None),
        (
            WebhookError::of_status(429, Some(seconds(9))),
            ErrorClass::RateLimited,
            Some(seconds(9)),
        ),
        (WebhookError::of_status(400, None), ErrorClass::Permanent, None),
        (WebhookError::Forbidden(forbidden), ErrorClass::Permanent, None),
    ] {
        wired.sender.script([WebhookStep::Fail(error.clone())]);
        let Err(Stop::Failed {
            failure,
            retry_after: after,
        }) = wired.run().await
        else {
            panic!("{error} is no failure")
        };
        assert_eq!((failure.class, after), (class, retry_after), "{error}");
        wired.scene.harness.services.clock.advance(seconds(10));
    }
}

#[tokio::test]
async fn one_that_asks_for_quiet_is_left_alone_by_every_delivery() {
    let wired = wired().await;
    let busy = WebhookError::of_status(503, Some(minutes(3)));
    wired.sender.script([WebhookStep::Fail(busy)]);
    assert_eq!(failure_code(wired.run().await), "webhook.throttled");
    assert_eq!(wired.run().await, Ok(Outcome::Snoozed(minutes(3))));
    wired.scene.harness.services.clock.advance(minutes(3));
    assert_eq!(wired.run().await, Ok(Outcome::Completed));
    assert_eq!(wired.state().await, EndpointState::Active);
    assert_eq!(wired.sender.attempts(), 2);
}

#[tokio::test]
async fn one_that_fails_often_cools_down_and_deliveries_wait_without_an_attempt() {
    let wired = wired().await;
    wired.fail(500, usize::try_from(FAILURES_BEFORE_COOL_DOWN).unwrap() + 1);
    for _ in 0..FAILURES_BEFORE_COOL_DOWN {
        assert_eq!(failure_code(wired.run().await), "webhook.failed");
    }
    assert!(matches!(wired.state().await, EndpointState::CoolingDown(_)));
    let attempts = wired.sender.attempts();
    for _ in 0..3 {
        assert_eq!(wired.run().await, Ok(Outcome::Snoozed(minutes(1))));
    }
    assert_eq!(wired.sender.attempts(), attempts);

    // After the cool-down one attempt decides: a failure starts a longer one, and one that is taken ends it.
    wired.scene.harness.services.clock.advance(minutes(1));
    assert_eq!(failure_code(wired.run().await), "webhook.failed");
    assert_eq!(wired.run().await, Ok(Outcome::Snoozed(minutes(2))));
    wired.scene.harness.services.clock.advance(minutes(2));
    assert_eq!(wired.run().await, Ok(Outcome::Completed));
    assert_eq!(wired.state().await, EndpointState::Active);
    wired.fail(500, 1);
    assert_eq!(failure_code(wired.run().await), "webhook.failed");
    assert_eq!(wired.state().await, EndpointState::Active);
}

#[tokio::test]
async fn one_that_took_nothing_for_days_is_disabled_with_an_event_and_told_nothing_more() {
    let wired = wired().await;
    let hours_of_it = DISABLED_AFTER.as_secs() / 3600;
    wired.fail(500, usize::try_from(hours_of_it).unwrap() + 2);
    for _ in 0..hours_of_it {
        assert!(wired.run().await.is_err());
        wired.scene.harness.services.clock.advance(hours(1));
    }
    assert!(wired.scene.harness.take_events().await.is_empty());
    let last = wired.run().await;
    let reason = "its receiver took nothing for days; the webhook is disabled";
    assert_eq!(last, skipped_because(reason));
    let events = wired.scene.harness.take_events().await;
    assert_eq!(events.len(), 1);
    let disabled: WebhookEndpointDisabled = wired.scene.harness.read(events.first().unwrap());
    assert_eq!(
        (disabled.webhook_id, disabled.reason),
        (wired.webhook.webhook_id, DisableReason::Failing)
    );
    assert!(matches!(
        wired.state().await,
        EndpointState::Disabled(_, DisableReason::Failing)
    ));
    let attempts = wired.sender.attempts();
    assert_eq!(wired.run().await, skipped_because("the webhook is disabled"));
    assert_eq!(wired.sender.attempts(), attempts);
}

#[tokio::test]
async fn one_that_answers_410_is_disabled_at_once() {
    let wired = wired().await;
    wired.fail(410, 1);
    let reason = "its receiver wants no webhooks any more; the webhook is disabled";
    assert_eq!(wired.run().await, skipped_because(reason));
    assert_eq!(wired.scene.harness.take_events().await.len(), 1);
    assert_eq!(wired.run().await, skipped_because("the webhook is disabled"));
}

#[tokio::test]
async fn a_failure_that_is_not_recorded_changes_nothing_and_is_tried_again() {
    let wired = wired().await;
    wired.fail(410, 1);
    wired.scene.harness.store.refuse_commits(true);
    assert!(wired.run().await.is_err());
    wired.scene.harness.store.refuse_commits(false);
    assert_eq!(wired.state().await, EndpointState::Active);
    assert_eq!(wired.run().await, Ok(Outcome::Completed));
}
