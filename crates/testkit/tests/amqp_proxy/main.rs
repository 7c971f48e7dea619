//! The proxy in front of real RabbitMQ.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "tests")]

mod client;

use std::time::{Duration, Instant};

use aftercommit_testkit::proxy::{AmqpFrame, AmqpProxy, Direction, Flow};
use aftercommit_testkit::rabbitmq_server::RabbitMqServer;
use tokio::time::timeout;

use client::{CONNECTION_CLOSE, Client};

/// Long enough for what is not held up: what must not come is not waited for longer.
const A_WHILE: Duration = Duration::from_millis(200);

/// A queue named after the test, a connection by the proxy, and one beside it.
struct Setting {
    queue: &'static str,
    server: RabbitMqServer,
    proxy: AmqpProxy,
    client: Client,
    beside: Client,
}

async fn setting(queue: &'static str) -> Setting {
    let server = RabbitMqServer::shared().await;
    let proxy = AmqpProxy::start(server.address()).await.unwrap();
    let client = Client::connect(proxy.address(), queue).await.unwrap();
    let beside = Client::connect(server.address().parse().unwrap(), queue).await.unwrap();
    Setting {
        queue,
        server,
        proxy,
        client,
        beside,
    }
}

impl Setting {
    async fn publish(&mut self) {
        self.client.publish(self.queue, 10).await.unwrap();
    }

    /// How many messages the queue keeps, those under way to a consumer included.
    async fn kept(&self) -> u64 {
        let listed = self.server.ctl(&["list_queues", "name", "messages"]).await;
        let mut queues = listed.lines().filter_map(|line| line.split_once('\t'));
        let (_, messages) = queues.find(|(name, _)| *name == self.queue).unwrap();
        messages.parse().unwrap()
    }
}

#[tokio::test]
async fn a_connection_passes_and_its_frames_are_counted() {
    let mut setting = setting("passes").await;
    for number in 1..=3 {
        setting.publish().await;
        assert_eq!(setting.client.confirmed().await.unwrap(), number);
    }
    assert!(setting.proxy.wait_until_seen(AmqpFrame::confirm(), 3).await);
    assert_eq!(setting.proxy.seen(AmqpFrame::publish()), 3);
    assert_eq!(setting.proxy.seen(AmqpFrame::body(Direction::ToServer)), 3);
    assert_eq!(setting.proxy.seen(AmqpFrame::consumer_ack()), 0);
    let url = setting.proxy.through(&setting.server.url());
    assert_eq!(url, format!("amqp://guest:guest@{}/%2f", setting.proxy.address()));
}

#[tokio::test]
async fn a_confirmation_is_swallowed_and_the_message_is_kept() {
    let mut setting = setting("swallowed").await;
    let loss = setting.proxy.swallow(AmqpFrame::confirm(), 1);
    setting.publish().await;
    loss.happened().await;
    assert_eq!(setting.kept().await, 1);
    // The connection goes on.
    setting.publish().await;
    assert_eq!(setting.client.confirmed().await.unwrap(), 2);
}

#[tokio::test]
async fn a_confirmation_is_lost_with_its_connection_and_the_message_is_kept() {
    let mut setting = setting("lost").await;
    let loss = setting.proxy.lose(AmqpFrame::confirm().nth(2), 1);
    setting.publish().await;
    assert_eq!(setting.client.confirmed().await.unwrap(), 1);
    setting.publish().await;
    assert!(setting.client.confirmed().await.is_err());
    loss.happened().await;
    assert_eq!(setting.kept().await, 2);
}

#[tokio::test]
async fn a_message_of_which_only_the_method_has_come_is_not_there() {
    let mut setting = setting("half").await;
    let cut = setting.proxy.cut_after(AmqpFrame::publish().nth(2), 1);
    setting.publish().await;
    assert_eq!(setting.client.confirmed().await.unwrap(), 1);
    // It may notice the end while it is still writing.
    let _written = setting.client.publish(setting.queue, 10).await;
    assert!(setting.client.confirmed().await.is_err());
    cut.happened().await;
    assert_eq!(setting.kept().await, 1);
}

#[tokio::test]
async fn an_ack_that_is_forwarded_before_the_cut_counts_and_one_that_is_not_does_not() {
    let mut setting = setting("acked").await;
    for counts in [true, false] {
        setting.beside.publish(setting.queue, 10).await.unwrap();
        setting.beside.confirmed().await.unwrap();
        let mut consumer = Client::connect(setting.proxy.address(), setting.queue).await.unwrap();
        assert!(consumer.get(setting.queue).await.unwrap());
        let cut = if counts {
            setting.proxy.cut_after(AmqpFrame::consumer_ack(), 1)
        } else {
            setting.proxy.lose(AmqpFrame::consumer_ack(), 1)
        };
        consumer.ack(1).await.unwrap();
        cut.happened().await;
        assert!(consumer.get(setting.queue).await.is_err());
        assert_eq!(setting.kept().await, u64::from(!counts));
    }
}

#[tokio::test]
async fn an_ack_that_is_swallowed_leaves_the_message_with_a_consumer_that_believes_it_is_done() {
    let mut setting = setting("unacked").await;
    setting.publish().await;
    setting.client.confirmed().await.unwrap();
    assert!(setting.client.get(setting.queue).await.unwrap());
    let loss = setting.proxy.swallow(AmqpFrame::consumer_ack(), 1);
    setting.client.ack(1).await.unwrap();
    loss.happened().await;
    assert!(!setting.client.get(setting.queue).await.unwrap());
    assert_eq!(setting.kept().await, 1);
}

#[tokio::test]
async fn a_corrupt_frame_makes_the_broker_end_the_connection() {
    let mut setting = setting("corrupt").await;
    let corrupted = setting.proxy.corrupt(AmqpFrame::publish(), usize::MAX, 1);
    // It may notice the end while it is still writing.
    let _written = setting.client.publish(setting.queue, 10).await;
    match setting.client.next().await {
        Ok((method, _)) => assert_eq!(method, CONNECTION_CLOSE),
        Err(_) => assert!(setting.proxy.tcp().wait_for_open_connections(0).await),
    }
    corrupted.happened().await;
    assert_eq!(setting.kept().await, 0);
}

#[tokio::test]
async fn a_confirmation_is_held_until_it_is_released() {
    let mut setting = setting("held").await;
    let hold = setting.proxy.hold(AmqpFrame::confirm());
    setting.publish().await;
    hold.arrived().await;
    assert!(timeout(A_WHILE, setting.client.confirmed()).await.is_err());
    assert_eq!(setting.kept().await, 1);
    hold.release();
    assert_eq!(setting.client.confirmed().await.unwrap(), 1);
}

#[tokio::test]
async fn a_throttled_direction_takes_its_time() {
    let mut setting = setting("throttled").await;
    let slow = Flow::Throttle {
        bytes_per_second: 50_000,
    };
    setting.proxy.tcp().set_flow(Direction::ToServer, slow);
    let began = Instant::now();
    setting.client.publish(setting.queue, 25_000).await.unwrap();
    setting.client.confirmed().await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(500));
    setting.proxy.tcp().set_flow(Direction::ToServer, Flow::Pass);
    setting.publish().await;
    assert_eq!(setting.client.confirmed().await.unwrap(), 2);
}

#[tokio::test]
async fn a_half_open_connection_keeps_the_message_and_never_says_so() {
    let mut setting = setting("half_open").await;
    setting.proxy.tcp().set_flow(Direction::ToClient, Flow::Discard);
    setting.publish().await;
    let kept = async { while !setting.beside.get(setting.queue).await.unwrap() {} };
    timeout(Duration::from_secs(30), kept).await.unwrap();
    assert!(timeout(A_WHILE, setting.client.confirmed()).await.is_err());
    setting.proxy.tcp().cut();
    assert!(setting.client.confirmed().await.is_err());
}
