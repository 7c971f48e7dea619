//! Answers that are meant to do harm, or never end.

use std::time::Duration;

use aftercommit_domain::effects::{WebhookError, WebhookNetwork};
use aftercommit_platform_webhook_http::{MAX_ANSWER, MAX_ANSWER_BODY};
use aftercommit_testkit::webhook_receiver::{ReceiverStep, RecordingWebhookReceiver};

use super::{SOON, impatient, send, sender};

/// 48 KiB of gzip that become 48 MiB: stored blocks would do as well, nobody looks inside.
fn gzip_bomb(len: usize) -> Vec<u8> {
    let mut body = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    body.resize(len, 0);
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len}\r\n\r\n").into_bytes();
    answer.extend(body);
    answer
}

fn endless(first: impl Into<Vec<u8>>, then: impl Into<Vec<u8>>) -> ReceiverStep {
    ReceiverStep::AcceptEndlessly {
        first: first.into(),
        then: then.into(),
        every: Duration::ZERO,
    }
}

#[tokio::test]
async fn an_answer_longer_than_its_bound_is_a_failed_attempt_and_no_more_of_it_is_read() {
    let receiver = RecordingWebhookReceiver::start().await.unwrap();
    let body = Some(MAX_ANSWER_BODY);
    let whole = Some(MAX_ANSWER);
    let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
    for (what, step, limit) in [
        (
            "10 GB",
            ReceiverStep::AcceptWith(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\nx".to_vec()),
            body,
        ),
        (
            "a body that never ends",
            endless("HTTP/1.1 200 OK\r\n\r\n", "x".repeat(4096)),
            body,
        ),
        (
            "chunks that never end",
            endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunk),
            body,
        ),
        (
            "1xx that never end",
            endless("", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(50)),
            whole,
        ),
        (
            "headers that never end",
            endless("HTTP/1.1 200 OK\r\n", "A: b\r\n".repeat(500)),
            whole,
        ),
        (
            "one header that never ends",
            endless("HTTP/1.1 200 OK\r\nA: ", "b".repeat(4096)),
            whole,
        ),
        (
            "trailers that never end",
            endless(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
                "A: b\r\n".repeat(99),
            ),
            None,
        ),
        (
            "chunks of one byte that never end",
            endless(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                "1\r\nx\r\n".repeat(50),
            ),
            whole,
        ),
        (
            "a gzip bomb",
            ReceiverStep::AcceptWith(gzip_bomb(MAX_ANSWER_BODY + 1)),
            body,
        ),
    ] {
        receiver.script([step]);
        let sent = send(&sender(WebhookNetwork::Any), &receiver.url("/")).await;
        match (sent, limit) {
            (Err(WebhookError::AnswerTooLong { limit: said }), Some(limit)) => assert_eq!(said, limit, "{what}"),
            // There is a lower limit for these.
            (Err(WebhookError::NoAnswer { reason }), None) => assert!(reason.contains("trailers count"), "{reason}"),
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_compressed_is_not_unpacked() {
    let receiver = RecordingWebhookReceiver::start().await.unwrap();
    receiver.script([ReceiverStep::AcceptWith(gzip_bomb(48 * 1024))]);
    send(&sender(WebhookNetwork::Any), &receiver.url("/")).await.unwrap();
    let received = receiver.received();
    assert_eq!(received[0].header("accept-encoding"), "identity");
}

#[tokio::test]
async fn one_who_answers_too_slowly_or_never_is_waited_for_until_the_deadline() {
    let receiver = RecordingWebhookReceiver::start().await.unwrap();
    let trickle = |first: &str, then: &str| ReceiverStep::AcceptEndlessly {
        first: first.into(),
        then: then.into(),
        every: SOON / 10,
    };
    for step in [
        ReceiverStep::AcceptAndHang,
        trickle("", "H"),
        trickle("HTTP/1.1 ", "2"),
        trickle("HTTP/1.1 200 OK\r\n", "A: b\r\n"),
        trickle("HTTP/1.1 200 OK\r\n\r\n", "x"),
        trickle("", "HTTP/1.1 100 Continue\r\n\r\n"),
    ] {
        receiver.script([step.clone()]);
        let sent = send(&impatient(), &receiver.url("/")).await;
        let is_bounded = matches!(
            sent,
            Err(WebhookError::TimedOut { limit: SOON } | WebhookError::NoAnswer { .. })
        );
        assert!(is_bounded, "{step:?}: {sent:?}");
    }
    assert_eq!(receiver.received().len(), 6);
}

#[tokio::test]
async fn one_who_breaks_off_or_speaks_no_http_gives_no_answer_and_none_of_it_is_repeated() {
    let receiver = RecordingWebhookReceiver::start().await.unwrap();
    for step in [
        ReceiverStep::Disconnect,
        ReceiverStep::AcceptAndDisconnect,
        ReceiverStep::AcceptWith(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsecret".to_vec()),
        ReceiverStep::AcceptWith(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nsecret".to_vec()),
        ReceiverStep::AcceptWith(b"SSH-2.0-secret\r\n".to_vec()),
        ReceiverStep::AcceptWith(b"HTTP/1.1 secret\r\n\r\n".to_vec()),
        ReceiverStep::AcceptWith(vec![0; 100]),
    ] {
        receiver.script([step.clone()]);
        let sent = send(&sender(WebhookNetwork::Any), &receiver.url("/")).await;
        let Err(WebhookError::NoAnswer { reason }) = sent else {
            panic!("{step:?}: {sent:?}")
        };
        assert!(!reason.contains("secret"), "{reason}");
    }
}
