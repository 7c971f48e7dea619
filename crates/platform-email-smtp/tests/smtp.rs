//! The sender against a server that misbehaves.

#![expect(clippy::unwrap_used, reason = "a failing test is what a panic is for")]

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::effects::{Email, EmailAddress, EmailError, EmailSender, IdempotencyKey};
use aftercommit_domain::failure::{Classified, ErrorClass};
use aftercommit_domain::ids::MessageId;
use aftercommit_platform_email_smtp::{MAX_CONNECTIONS, SmtpEmailSender, SmtpTimeouts};
use aftercommit_testkit::ManualClock;
use aftercommit_testkit::smtp_server::{RecordingSmtpServer, SmtpAnswer, SmtpStage};
use uuid::Uuid;

const SECONDS: Duration = Duration::from_secs(20);
/// A test that waits for a deadline sets one that is soon over.
const SOON: Duration = Duration::from_millis(150);

fn sender_to(url: &str) -> SmtpEmailSender {
    SmtpEmailSender::parse(url, "Acme <no-reply@acme.example>", Arc::new(ManualClock::default())).unwrap()
}

fn impatient(server: &RecordingSmtpServer) -> SmtpEmailSender {
    sender_to(&server.url()).with_timeouts(SmtpTimeouts {
        command: SOON,
        ..SmtpTimeouts::default()
    })
}

fn email(to: &str) -> Email {
    Email {
        to: EmailAddress::new(to).unwrap(),
        subject: "Grüße".into(),
        text: "Hello\n.\nhttps://acme.example/l?token=s3cr3t&x=ß".into(),
        html: "<p>Hello</p>".into(),
    }
}

fn key(n: u128) -> IdempotencyKey {
    IdempotencyKey::from(MessageId::from(Uuid::from_u128(n)))
}

async fn send(sender: &SmtpEmailSender, n: u128) -> Result<(), EmailError> {
    sender.send(email(&format!("reader{n}@example.com")), &key(n)).await
}

#[track_caller]
fn assert_unavailable(result: &Result<(), EmailError>, words: &str) {
    let error = result.as_ref().unwrap_err();
    assert!(matches!(error, EmailError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

#[tokio::test]
async fn an_accepted_email_arrives_as_it_was_meant() {
    let server = RecordingSmtpServer::start().await.unwrap();
    send(&sender_to(&server.url()), 7).await.unwrap();
    let [received] = &server.received()[..] else {
        panic!("{:?}", server.received())
    };
    assert_eq!(received.from, "no-reply@acme.example");
    assert_eq!(received.to, ["reader7@example.com"]);
    assert_eq!(received.message_id, format!("{}@acme.example", Uuid::from_u128(7)));
    assert_eq!(received.subject, "Grüße");
    assert_eq!(
        received.text().unwrap(),
        "Hello\r\n.\r\nhttps://acme.example/l?token=s3cr3t&x=ß"
    );
    assert_eq!(received.html().unwrap(), "<p>Hello</p>");
    assert_eq!(received.header("Auto-Submitted").unwrap(), "auto-generated");
    assert_eq!(received.header("From").unwrap(), "Acme <no-reply@acme.example>");
}

#[tokio::test]
async fn a_repeated_send_has_the_same_message_id() {
    let server = RecordingSmtpServer::start().await.unwrap();
    let sender = sender_to(&server.url());
    send(&sender, 1).await.unwrap();
    send(&sender, 1).await.unwrap();
    let received = server.received();
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].message_id, received[1].message_id);
}

#[tokio::test]
async fn a_permanent_refusal_is_refused_and_a_temporary_one_unavailable_without_the_address() {
    let server = RecordingSmtpServer::start().await.unwrap();
    for stage in [
        SmtpStage::Sender,
        SmtpStage::Recipient,
        SmtpStage::Data,
        SmtpStage::Message,
    ] {
        for (code, class) in [(550, ErrorClass::Permanent), (451, ErrorClass::Retryable)] {
            let enhanced = if code == 550 { "5.1.1" } else { "4.3.0" };
            let words = format!("{enhanced} <{{to}}> is not served");
            server.script(stage, [SmtpAnswer::reply(code, words)]);
            let error = send(&sender_to(&server.url()), 1).await.unwrap_err();
            assert_eq!(error.class(), class, "{stage:?}: {error}");
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(&code.to_string()), "{shown}");
            assert!(shown.contains(enhanced) && shown.contains("not served"), "{shown}");
            assert!(!shown.contains("reader1") && !shown.contains('@'), "{shown}");
        }
    }
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn a_server_that_quotes_the_email_does_not_get_it_into_the_error() {
    let server = RecordingSmtpServer::start().await.unwrap();
    server.script(
        SmtpStage::Message,
        [SmtpAnswer::reply(
            554,
            "5.7.1 blocked\n5.7.1 https://acme.example/l?token=s3cr3t to reader1 at example.com\n5.7.1 'Hello'",
        )],
    );
    let error = send(&sender_to(&server.url()), 1).await.unwrap_err();
    let EmailError::Refused { reason } = error else {
        panic!("{error}")
    };
    assert_eq!(reason, "554 5.7.1 blocked … to … at … (after the message)");
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable_and_the_same_sender_goes_on_when_it_is_back() {
    let server = RecordingSmtpServer::start().await.unwrap();
    let (address, sender) = (server.address(), sender_to(&server.url()));
    send(&sender, 1).await.unwrap();
    assert!(server.wait_for_visits(SmtpStage::Greeting, 1).await);
    drop(server);
    assert_unavailable(&send(&sender, 2).await, "connecting");
    let server = RecordingSmtpServer::start_on(address).await.unwrap();
    send(&sender, 3).await.unwrap();
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn a_hang_anywhere_ends_with_the_deadline_and_says_when_the_email_may_have_left() {
    for stage in [
        SmtpStage::Greeting,
        SmtpStage::Hello,
        SmtpStage::Sender,
        SmtpStage::Recipient,
        SmtpStage::Data,
        SmtpStage::Message,
    ] {
        let server = RecordingSmtpServer::start().await.unwrap();
        server.script(stage, [SmtpAnswer::Hang]);
        let sender = impatient(&server);
        let result = tokio::time::timeout(SECONDS, send(&sender, 1)).await.unwrap();
        assert_unavailable(&result, "no answer within 150ms");
        let in_doubt = result.unwrap_err().to_string().contains("may have taken the message");
        assert_eq!(in_doubt, stage == SmtpStage::Message, "{stage:?}");
        // The hanging connection is not used again.
        send(&sender, 2).await.unwrap();
        assert_eq!(server.received().len(), 1, "{stage:?}");
    }
}

#[tokio::test]
async fn one_email_as_a_whole_has_a_deadline() {
    let server = RecordingSmtpServer::start().await.unwrap();
    server.script(SmtpStage::Message, [SmtpAnswer::AcceptAndHang]);
    let sender = sender_to(&server.url()).with_timeouts(SmtpTimeouts {
        send: SOON,
        ..SmtpTimeouts::default()
    });
    let result = tokio::time::timeout(SECONDS, send(&sender, 1)).await.unwrap();
    assert_unavailable(&result, "not done within 150ms; the server may have taken the message");
}

#[tokio::test]
async fn a_lost_reply_is_unavailable_and_says_that_the_email_may_have_left() {
    let server = RecordingSmtpServer::start().await.unwrap();
    server.script(SmtpStage::Message, [SmtpAnswer::AcceptAndDisconnect]);
    let sender = sender_to(&server.url());
    assert_unavailable(&send(&sender, 1).await, "may have taken the message");
    assert_eq!(server.received().len(), 1);
    send(&sender, 1).await.unwrap();
    let received = server.received();
    assert_eq!(received[0].message_id, received[1].message_id);
}

#[tokio::test]
async fn a_cancelled_send_leaves_no_conversation_for_the_next_email_to_stumble_into() {
    for stage in [
        SmtpStage::Sender,
        SmtpStage::Recipient,
        SmtpStage::Data,
        SmtpStage::Message,
    ] {
        let server = RecordingSmtpServer::start().await.unwrap();
        let sender = sender_to(&server.url());
        // GIVEN a connection that was used before, in the middle of the next conversation
        send(&sender, 1).await.unwrap();
        server.script(stage, [SmtpAnswer::Hang]);
        tokio::select! {
            result = send(&sender, 2) => panic!("{result:?}"),
            reached = server.wait_for_visits(stage, 2) => assert!(reached),
        }
        // WHEN the send was cancelled there
        // THEN its connection is closed, so that no late answer can be taken for that to another e-mail
        assert!(server.wait_for_open_connections(0).await, "{stage:?}");
        server.script(SmtpStage::Message, [SmtpAnswer::reply(550, "5.7.1 no")]);
        assert!(
            matches!(send(&sender, 3).await, Err(EmailError::Refused { .. })),
            "{stage:?}"
        );
        send(&sender, 4).await.unwrap();
        let ids: Vec<_> = server.received().into_iter().map(|email| email.to.concat()).collect();
        assert_eq!(ids, ["reader1@example.com", "reader4@example.com"], "{stage:?}");
    }
}

#[tokio::test]
async fn a_connection_is_used_again_and_a_dead_one_replaced() {
    let server = RecordingSmtpServer::start().await.unwrap();
    let sender = sender_to(&server.url());
    send(&sender, 1).await.unwrap();
    send(&sender, 2).await.unwrap();
    assert_eq!(server.visits(SmtpStage::Greeting), 1);
    server.script(SmtpStage::Noop, [SmtpAnswer::Disconnect]);
    send(&sender, 3).await.unwrap();
    assert_eq!(server.visits(SmtpStage::Greeting), 2);
}

#[tokio::test]
async fn a_connection_that_idled_too_long_is_not_used_again() {
    let server = RecordingSmtpServer::start().await.unwrap();
    let sender = sender_to(&server.url()).with_timeouts(SmtpTimeouts {
        idle: Duration::ZERO,
        ..SmtpTimeouts::default()
    });
    send(&sender, 1).await.unwrap();
    send(&sender, 2).await.unwrap();
    assert_eq!(server.visits(SmtpStage::Greeting), 2);
    assert_eq!(server.visits(SmtpStage::Noop), 0);
}

#[tokio::test]
async fn no_more_than_a_few_connections_are_open_at_a_time() {
    let server = RecordingSmtpServer::start().await.unwrap();
    let sender = sender_to(&server.url());
    let sends = (0..40).map(|n| send(&sender, n));
    for result in futures::future::join_all(sends).await {
        result.unwrap();
    }
    assert_eq!(server.received().len(), 40);
    // Connections are used again, so every one that was ever made is still open.
    assert!(server.visits(SmtpStage::Greeting) <= MAX_CONNECTIONS);
}

#[tokio::test]
async fn an_email_that_finds_no_free_connection_in_time_was_certainly_not_sent() {
    let server = RecordingSmtpServer::start().await.unwrap();
    let sender = sender_to(&server.url()).with_timeouts(SmtpTimeouts {
        send: SOON,
        ..SmtpTimeouts::default()
    });
    // One more answer than there are places: the last send may get one just before its own time is over.
    server.script(SmtpStage::Recipient, vec![SmtpAnswer::Hang; MAX_CONNECTIONS + 1]);
    let results = futures::future::join_all((0..=MAX_CONNECTIONS).map(|n| send(&sender, n as u128))).await;
    for result in results {
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("not done within 150ms"), "{error}");
    }
}

#[tokio::test]
async fn the_right_login_is_used_and_a_wrong_one_is_nobodys_refusal() {
    let server = RecordingSmtpServer::start_with_login("me@acme.example", "p:/%ß")
        .await
        .unwrap();
    let url = |login: &str| format!("smtp://{login}@{}", server.address());
    send(&sender_to(&url("me%40acme.example:p%3A%2F%25%C3%9F")), 1)
        .await
        .unwrap();
    let result = send(&sender_to(&url("me%40acme.example:s3cr3t")), 2).await;
    assert_unavailable(&result, "535 5.7.8");
    assert!(!format!("{result:?}").contains("s3cr3t"));
    assert_unavailable(&send(&sender_to(&server.url()), 3).await, "530 5.7.0");
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn nothing_is_sent_to_a_server_that_does_not_offer_the_demanded_tls() {
    let server = RecordingSmtpServer::start().await.unwrap();
    let result = send(&sender_to(&format!("{}?tls=required", server.url())), 1).await;
    assert_unavailable(&result, "STARTTLS is not supported");
    assert_eq!(server.visits(SmtpStage::Sender), 0);

    let url = server.url().replace("smtp://", "smtps://");
    assert_unavailable(&send(&sender_to(&url), 1).await, "connecting");
    assert_eq!(server.visits(SmtpStage::Hello), 1, "only that of the first");
}

#[tokio::test]
async fn an_answer_that_is_no_smtp_is_unavailable_and_not_repeated() {
    let server = RecordingSmtpServer::start().await.unwrap();
    server.script(SmtpStage::Recipient, [SmtpAnswer::reply(999, "hello {to}")]);
    let result = send(&sender_to(&server.url()), 1).await;
    assert_unavailable(&result, "not SMTP");
    assert!(!format!("{result:?}").contains("reader1"));
}

#[tokio::test]
async fn an_answer_that_belongs_elsewhere_is_not_taken_for_success() {
    for stage in [
        SmtpStage::Sender,
        SmtpStage::Recipient,
        SmtpStage::Data,
        SmtpStage::Message,
    ] {
        let server = RecordingSmtpServer::start().await.unwrap();
        server.script(
            stage,
            [SmtpAnswer::reply(if stage == SmtpStage::Data { 250 } else { 354 }, "?")],
        );
        assert_unavailable(&send(&sender_to(&server.url()), 1).await, "unexpected answer");
    }
}

#[tokio::test]
async fn closing_takes_leave_and_refuses_what_comes_later() {
    let server = RecordingSmtpServer::start().await.unwrap();
    let sender = sender_to(&server.url());
    send(&sender, 1).await.unwrap();
    sender.close().await;
    assert!(server.wait_for_open_connections(0).await);
    assert_unavailable(&send(&sender, 2).await, "closed");
}
