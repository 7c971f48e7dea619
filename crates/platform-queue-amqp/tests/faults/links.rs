//! Connections that are cut, closed, silent or gone while something is published.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{PublishError, Published, QueuePublisher};
use aftercommit_testkit::proxy::{AmqpFrame, AmqpProxy, Direction};
use aftercommit_testkit::rabbitmq_server::{RabbitMqOptions, RabbitMqServer};
use futures::future::join;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::rig::Rig;
use crate::support::{connected, ids, next, remember_its_queues, soon, until_within, within};

/// By which a channel is opened.
const CHANNEL_OPEN: AmqpFrame = AmqpFrame::method(Direction::ToServer, 20, 10);
/// Back after what it waits for is there: within 5 s, and what a machine takes for it that is busy with other tests.
const BACK: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_lost_confirm_is_unknown_in_time_and_its_channel_is_not_used_again() {
    let server = RabbitMqServer::shared().await;
    let proxy = AmqpProxy::start(server.address()).await.unwrap();
    let rig = Rig::start(|options| {
        options.port = proxy.address().port();
        options.confirm_timeout = Duration::from_secs(5);
    })
    .await;
    // The lanes take turns: so many calls come by each of them.
    for _ in 0..4 {
        rig.publish_all(rig.messages().tasks(1)).await;
    }
    let before = proxy.seen(CHANNEL_OPEN);

    let lost = proxy.swallow(AmqpFrame::confirm(), 1);
    let (unknown, started) = (rig.messages().task(), Instant::now());
    let result = rig.publish_one(unknown.clone()).await;
    let waited = started.elapsed();
    lost.happened().await;
    assert!(matches!(result, Err(PublishError::Unknown { .. })), "{result:?}");
    assert!(
        waited >= Duration::from_secs(5) && waited < Duration::from_secs(15),
        "{waited:?}"
    );

    for _ in 0..4 {
        rig.publish_all(rig.messages().tasks(1)).await;
    }
    assert_eq!(proxy.seen(CHANNEL_OPEN), before + 1, "its lane has another channel");
    let there = rig.empty(&server.url(), &rig.letters()).await;
    assert!(ids(&there).contains(&unknown.id), "unknown is not lost");
    rig.stop().await;
}

#[tokio::test]
async fn a_message_of_which_half_was_sent_is_unknown_and_can_be_published_again() {
    let server = RabbitMqServer::shared().await;
    let proxy = AmqpProxy::start(server.address()).await.unwrap();
    let rig = Rig::start(|options| {
        options.port = proxy.address().port();
        // Not what ends it.
        options.confirm_timeout = Duration::from_secs(25);
    })
    .await;
    rig.publish_all(rig.messages().tasks(1)).await;
    rig.empty(&server.url(), &rig.letters()).await;

    let cut = proxy.cut_after(AmqpFrame::publish(), 1);
    let task = rig.messages().task();
    let result = within(Duration::from_secs(10), "an answer", rig.publish_one(task.clone())).await;
    cut.happened().await;
    assert!(matches!(result, Err(PublishError::Unknown { .. })), "{result:?}");

    within(BACK, "it to be published", rig.publish_all(vec![task.clone()])).await;
    assert_eq!(rig.empty(&server.url(), &rig.letters()).await, [task]);
    rig.stop().await;
}

#[tokio::test]
async fn a_broker_that_hangs_is_noticed_after_two_heartbeats_and_not_before() {
    let server = RabbitMqServer::start(RabbitMqOptions::default()).await;
    let rig = Rig::start_on(&server, |options| {
        options.heartbeat = Duration::from_secs(2);
        options.confirm_timeout = Duration::from_secs(25);
    })
    .await;
    // Each lane has its channel.
    for _ in 0..4 {
        rig.publish_all(rig.messages().tasks(1)).await;
    }
    let mut deliveries = rig.consume(1).await;
    let delivery = next(&mut deliveries).await;

    server.pause().await;
    let started = Instant::now();
    let timed = async |waited: &mut Duration| *waited = started.elapsed();
    let (mut publishing, mut consuming) = (Duration::ZERO, Duration::ZERO);
    let (published, consumed) = soon(
        "both to end",
        join(
            async {
                // What the broker has begun it may still answer while it is being stopped.
                let result = loop {
                    let result = rig.publish_one(rig.messages().task()).await;
                    if result.is_err() {
                        break result;
                    }
                };
                timed(&mut publishing).await;
                result
            },
            async {
                let result = deliveries.next().await;
                timed(&mut consuming).await;
                result.map(|_| ())
            },
        ),
    )
    .await;
    assert!(matches!(published, Err(PublishError::Unknown { .. })), "{published:?}");
    assert!(consumed.is_err());
    for waited in [publishing, consuming] {
        // The last sign of life may be half a heartbeat older than the pause.
        let expected = Duration::from_secs(3)..Duration::from_secs(8);
        assert!(expected.contains(&waited), "{waited:?}");
    }
    drop(delivery);

    server.resume().await;
    within(BACK, "the connections", connected(&rig.queue)).await;
    rig.publish_all(rig.messages().tasks(1)).await;
    rig.queue.close().await;
}

#[tokio::test]
async fn nothing_published_is_missing_when_the_broker_closes_connections_now_and_then() {
    let server = RabbitMqServer::start(RabbitMqOptions::default()).await;
    let rig = Rig::start_on(&server, |_| {}).await;
    connected(&rig.queue).await;
    let publishing = Publishing::default();
    let closing = async {
        for _ in 0..5 {
            publishing.goes_on().await;
            server.close_all_connections().await;
        }
        publishing.goes_on().await;
        publishing.end();
    };
    let (published, ()) = join(publishing.run(&rig), closing).await;
    let there = rig.empty(&server.url(), &rig.letters()).await;
    assert!(ids(&there).is_superset(&published), "{} published", published.len());
    rig.queue.close().await;
}

#[tokio::test]
async fn nothing_published_is_missing_when_the_broker_is_killed() {
    let server = RabbitMqServer::start(RabbitMqOptions::default()).await;
    let rig = Rig::start_on(&server, |options| {
        // Right after its start the broker leaves what is published to a queue without a leader unconfirmed.
        options.heartbeat = Duration::from_secs(1);
        options.confirm_timeout = Duration::from_secs(3);
    })
    .await;
    connected(&rig.queue).await;
    let publishing = Publishing::default();
    let killing = async {
        publishing.goes_on().await;
        remember_its_queues(&server).await;
        for _ in 0..2 {
            publishing.goes_on().await;
            server.kill().await;
            server.start_again().await;
        }
        publishing.goes_on().await;
        publishing.end();
    };
    let (published, ()) = join(publishing.run(&rig), killing).await;
    let there = rig.empty(&server.url(), &rig.letters()).await;
    assert!(ids(&there).is_superset(&published), "{} published", published.len());
    rig.queue.close().await;
}

/// Publishes in a loop, and counts what was taken.
#[derive(Default)]
struct Publishing {
    taken: watch::Sender<usize>,
    is_over: watch::Sender<bool>,
}

impl Publishing {
    /// Until it is ended. Answers what was taken.
    async fn run(&self, rig: &Rig) -> BTreeSet<MessageId> {
        let mut taken = BTreeSet::new();
        // Not at full speed while nobody is there to publish to.
        let mut pace = interval(Duration::from_millis(5));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !*self.is_over.borrow() {
            pace.tick().await;
            let results = soon("an answer", rig.queue.publish(rig.messages().tasks(20))).await;
            for result in results {
                match result {
                    Ok(Published::Enqueued(id)) => drop(taken.insert(id)),
                    // A queue without a leader refuses.
                    Err(
                        PublishError::Unknown { .. } | PublishError::Unavailable { .. } | PublishError::Refused { .. },
                    ) => {}
                    other => panic!("{other:?}"),
                }
            }
            self.taken.send_replace(taken.len());
        }
        taken
    }

    /// Returns when a thousand more are taken.
    async fn goes_on(&self) {
        let taken = *self.taken.borrow();
        until_within(BACK + BACK, "tasks to be published", async || {
            *self.taken.borrow() >= taken + 1000
        })
        .await;
    }

    fn end(&self) {
        self.is_over.send_replace(true);
    }
}
