//! Addresses that lead inside.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use aftercommit_domain::effects::{WebhookError, WebhookNetwork};
use aftercommit_domain::failure::Classified as _;
use aftercommit_platform_webhook_http::NameLookup;
use aftercommit_testkit::webhook_receiver::RecordingWebhookReceiver;
use async_trait::async_trait;

use super::{Names, SOON, impatient, send, sender};

#[tokio::test]
async fn an_address_that_was_taken_while_more_was_allowed_is_refused_when_it_is_sent_to() {
    let receiver = RecordingWebhookReceiver::start().await.unwrap();
    let port = receiver.address().port();
    for url in [
        receiver.url("/"),
        format!("https://127.0.0.1:{port}/"),
        format!("https://[::1]:{port}/"),
        format!("https://localhost:{port}/"),
    ] {
        let error = send(&sender(WebhookNetwork::Public), &url).await.unwrap_err();
        assert_eq!(error.code(), "url.forbidden", "{url}: {error}");
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_connected_to_however_it_is_mixed() {
    let receiver = RecordingWebhookReceiver::start().await.unwrap();
    let inside = receiver.address();
    let address = |text: &str| SocketAddr::new(text.parse().unwrap(), inside.port());
    for answer in [
        vec![inside],
        vec![address("8.8.8.8"), inside],
        vec![inside, address("8.8.8.8")],
        vec![address("::ffff:127.0.0.1")],
        vec![address("169.254.169.254")],
        vec![address("64:ff9b::7f00:1")],
        vec![address("0.0.0.0")],
    ] {
        let sender = sender(WebhookNetwork::Public).with_names(Names::of([answer.clone()]));
        let error = send(&sender, "https://hooks.example.com/").await.unwrap_err();
        assert_eq!(error.code(), "url.forbidden", "{answer:?}: {error}");
        assert!(error.to_string().contains("its name leads to an address"), "{error}");
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn a_name_is_looked_up_once_and_the_connection_goes_to_that_address() {
    let first = RecordingWebhookReceiver::start().await.unwrap();
    let rebound = RecordingWebhookReceiver::start().await.unwrap();
    let names = Names::of([vec![first.address()], vec![rebound.address()]]);
    let sender = sender(WebhookNetwork::Any).with_names(Arc::clone(&names) as _);
    send(&sender, "http://hooks.example.com/").await.unwrap();
    assert_eq!(names.lookups(), 1);
    assert_eq!((first.connections(), rebound.connections()), (1, 0));
    assert_eq!(first.received()[0].header("host"), "hooks.example.com");

    // And one that rebinds from outside to inside between two messages is caught at the second.
    let inside = vec![rebound.address()];
    let sender = super::sender(WebhookNetwork::Public).with_names(Names::of([inside]));
    let error = send(&sender, "https://hooks.example.com/").await.unwrap_err();
    assert_eq!(error.code(), "url.forbidden");
    assert_eq!(rebound.connections(), 0);
}

#[tokio::test]
async fn the_next_address_of_a_name_is_tried_when_one_does_not_answer() {
    let gone = RecordingWebhookReceiver::start().await.unwrap().address();
    let receiver = RecordingWebhookReceiver::start().await.unwrap();
    let names = Names::of([vec![gone, receiver.address()]]);
    let sender = sender(WebhookNetwork::Any).with_names(names);
    send(&sender, "http://hooks.example.com/").await.unwrap();
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn a_name_nobody_knows_and_an_address_nobody_is_at_are_failed_attempts_with_their_cause() {
    let unknown = sender(WebhookNetwork::Any).with_names(Names::of([]));
    let error = send(&unknown, "http://hooks.example.com/").await.unwrap_err();
    assert_eq!(error.to_string(), "the receiver's name has no address: no such name");
    let without = sender(WebhookNetwork::Any).with_names(Names::of([vec![]]));
    let error = send(&without, "http://hooks.example.com/").await.unwrap_err();
    assert_eq!(error.code(), "webhook.unresolved");

    let gone = RecordingWebhookReceiver::start().await.unwrap().url("/");
    let error = send(&sender(WebhookNetwork::Any), &gone).await.unwrap_err();
    assert!(matches!(error, WebhookError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_name_server_that_never_answers_is_waited_for_until_the_deadline() {
    struct Silent;
    #[async_trait]
    impl NameLookup for Silent {
        async fn addresses(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
            std::future::pending().await
        }
    }
    let sender = impatient().with_timeouts(aftercommit_platform_webhook_http::WebhookTimeouts {
        connect: SOON,
        whole: SOON * 100,
    });
    let error = send(&sender.with_names(Arc::new(Silent)), "http://hooks.example.com/").await;
    let reason = error.unwrap_err().to_string();
    assert!(reason.contains("no connection within 300ms"), "{reason}");
}
