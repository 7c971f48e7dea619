//! What is logged of a failure holds no password and no payload.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aftercommit_domain::contract::{TaskEnvelope, TopicName};
use aftercommit_domain::tasks::{Broker, PublishError, QueuePublisher};
use aftercommit_testkit::rabbitmq_server::{RabbitMqOptions, RabbitMqServer};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::rig::{LETTERS, Rig};
use crate::support::{connected, ok, soon, until, within};

/// That of the application, and everything of this library.
const FILTER: &str = "info,lapin::returned_messages=error,aftercommit_platform_queue_amqp=trace";

/// What was logged by any thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn neither_a_password_nor_a_payload_is_logged_when_something_goes_wrong() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_ansi(false)
        .with_env_filter(EnvFilter::new(FILTER));
    // The client library has threads of its own.
    subscriber.try_init().expect("no other test of this binary logs");
    let (password, payload) = ("canary-password-5b1d", "canary-payload-93fe");
    let server = RabbitMqServer::start(RabbitMqOptions::default().max_message_size(4096)).await;
    server.ctl(&["change_password", "guest", password]).await;
    let url = server.url().replace("guest:guest", &format!("guest:{password}"));

    let wrong = Rig::start_at(&server, &url, |options| {
        options.password = format!("{password}-wrong").into();
    })
    .await;
    let declared = soon("an answer", wrong.queue.declare(&[LETTERS].into())).await;
    let error = declared.unwrap_err();
    wrong.queue.close().await;

    let rig = Rig::start_at(&server, &url, |options| {
        options.password = password.into();
        options.declare = false;
    })
    .await;
    let declaring = rig.another_with(|options| options.declare = true);
    ok("to declare", declaring.declare(&[LETTERS].into())).await;
    declaring.close().await;
    connected(&rig.queue).await;
    let unroutable = TaskEnvelope {
        topic: TopicName::constant("nowhere"),
        ..rig.task_with(payload)
    };
    let returned = rig.publish_one(unroutable).await;
    assert!(matches!(returned, Err(PublishError::Unroutable { .. })), "{returned:?}");
    let rejected = soon(
        "an answer",
        rig.queue.publish(vec![
            rig.task_with(payload),
            rig.task_with(&format!("{payload}{}", "x".repeat(8192))),
        ]),
    )
    .await;
    assert!(
        matches!(rejected[..], [Ok(_), Err(PublishError::Invalid { .. })]),
        "{rejected:?}"
    );
    server.stop_gracefully().await;
    until("the loss to be noticed", async || rig.queue.trouble().is_some()).await;
    let trouble = rig.queue.trouble();
    within(Duration::from_secs(8), "it to close", rig.queue.close()).await;

    let text = format!(
        "{}{error}{error:?}{returned:?}{rejected:?}{trouble:?}{:?}",
        log.text(),
        rig.options
    );
    for event in [
        "it is declared again",
        "each message is published alone",
        "is lost and made again",
    ] {
        assert!(text.contains(event), "it was logged that {event}");
    }
    for canary in [password, payload] {
        let lines: Vec<&str> = text.lines().filter(|line| line.contains(canary)).collect();
        assert!(lines.is_empty(), "{lines:?}");
    }
}
