//! What arrives, and what an answer means.

use std::time::Duration;

use aftercommit_domain::effects::{WebhookAnswer, WebhookError, WebhookNetwork};
use aftercommit_testkit::webhook_receiver::{ReceiverStep, RecordingWebhookReceiver};

use super::{SECRET, key, send, sender};

#[tokio::test]
async fn a_webhook_arrives_signed_and_as_it_was_meant() {
    let receiver = RecordingWebhookReceiver::start().await.unwrap();
    let sent = send(&sender(WebhookNetwork::Any), &receiver.url("/hook?token=a%20b")).await;
    assert_eq!(sent, Ok(WebhookAnswer { status: 200 }));
    let [received] = &receiver.received()[..] else {
        panic!("{:?}", receiver.received())
    };
    assert_eq!(received.request_line, "POST /hook?token=a%20b HTTP/1.1");
    assert_eq!(received.body, r#"{"type":"ProjectDeleted"}"#);
    assert_eq!(received.id(), key(7).as_str());
    assert!(received.is_signed_with(SECRET), "{received:?}");
    assert_eq!(received.header("host"), receiver.address().to_string());
    assert_eq!(received.header("content-type"), "application/json");
    assert!(received.header("user-agent").starts_with("Aftercommit-Webhooks/"));
    let mut names: Vec<&str> = received.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept-encoding",
            "connection",
            "content-length",
            "content-type",
            "host",
            "user-agent",
            "webhook-id",
            "webhook-signature",
            "webhook-timestamp"
        ]
    );
}

#[tokio::test]
async fn one_whose_reply_was_lost_comes_again_under_the_same_id() {
    let receiver = RecordingWebhookReceiver::start().await.unwrap();
    receiver.script([ReceiverStep::AcceptAndDisconnect]);
    let sender = sender(WebhookNetwork::Any);
    let lost = send(&sender, &receiver.url("/")).await;
    assert!(matches!(lost, Err(WebhookError::NoAnswer { .. })), "{lost:?}");
    send(&sender, &receiver.url("/")).await.unwrap();
    let [first, again] = &receiver.received()[..] else {
        panic!("{:?}", receiver.received())
    };
    assert_eq!((first.id(), &first.body), (again.id(), &again.body));
}

#[tokio::test]
async fn a_status_means_what_the_table_says() {
    let receiver = RecordingWebhookReceiver::start().await.unwrap();
    let throttled = |status, seconds| WebhookError::Throttled {
        status,
        retry_after: Some(Duration::from_secs(seconds)),
    };
    for (step, expected) in [
        (
            ReceiverStep::status(500),
            WebhookError::Failed {
                status: 500,
                retry_after: None,
            },
        ),
        (ReceiverStep::status(404), WebhookError::Refused { status: 404 }),
        (ReceiverStep::status(410), WebhookError::Gone),
        (ReceiverStep::retry_after(429, "90"), throttled(429, 90)),
        (ReceiverStep::retry_after(503, "999999999"), throttled(503, 86_400)),
        (
            ReceiverStep::retry_after(429, "soon"),
            WebhookError::Throttled {
                status: 429,
                retry_after: None,
            },
        ),
    ] {
        receiver.script([step.clone()]);
        let sent = send(&sender(WebhookNetwork::Any), &receiver.url("/")).await;
        assert_eq!(sent, Err(expected), "{step:?}");
    }
    for status in [201, 202, 204] {
        let answer = format!("HTTP/1.1 {status} Fine\r\n\r\n");
        receiver.script([ReceiverStep::AcceptWith(answer.into_bytes())]);
        let sent = send(&sender(WebhookNetwork::Any), &receiver.url("/")).await;
        assert_eq!(sent, Ok(WebhookAnswer { status }));
    }
}

#[tokio::test]
async fn a_redirect_is_a_failed_attempt_and_nobody_goes_where_it_leads() {
    let receiver = RecordingWebhookReceiver::start().await.unwrap();
    let inside = RecordingWebhookReceiver::start().await.unwrap();
    for status in [301, 302, 303, 307, 308] {
        receiver.script([ReceiverStep::Refuse {
            status,
            headers: vec![format!("Location: {}", inside.url("/"))],
        }]);
        let sent = send(&sender(WebhookNetwork::Any), &receiver.url("/")).await;
        assert_eq!(sent, Err(WebhookError::Redirected { status }));
    }
    assert_eq!(inside.connections(), 0);
}
