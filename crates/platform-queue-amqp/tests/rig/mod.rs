//! A queue on a broker that all tests share, under names of its own, and with a database in memory.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::tasks::Broker;
use aftercommit_domain::time::Clock;
use aftercommit_platform_queue_amqp::{AmqpOptions, AmqpQueue, AmqpServices, AmqpStores};
use aftercommit_testkit::rabbitmq_server::RabbitMqServer;
use aftercommit_testkit::{InMemory, TestServices, test_services};
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueuePurgeOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

/// The topics of the suites.
pub(crate) const LETTERS: TopicName = TopicName::constant("letters");
pub(crate) const PARCELS: TopicName = TopicName::constant("parcels");
/// So much that real time plays no part in a test.
const SLACK: Duration = Duration::from_mins(10);

pub(crate) struct Rig {
    pub(crate) services: TestServices,
    pub(crate) store: InMemory,
    pub(crate) queue: AmqpQueue,
    pub(crate) options: AmqpOptions,
    connection: Connection,
}

impl Rig {
    pub(crate) async fn start(change: impl FnOnce(&mut AmqpOptions)) -> Self {
        let server = RabbitMqServer::shared().await;
        Self::start_on(&server, change).await
    }

    pub(crate) async fn start_on(server: &RabbitMqServer, change: impl FnOnce(&mut AmqpOptions)) -> Self {
        Self::start_at(server, &server.url(), change).await
    }

    /// The same, with a login in `url` that is for the rig itself.
    pub(crate) async fn start_at(server: &RabbitMqServer, url: &str, change: impl FnOnce(&mut AmqpOptions)) -> Self {
        let mut options = AmqpOptions::local(server.port());
        change(&mut options);
        options.prefix = prefix(&options);
        let services = test_services();
        let store = InMemory::for_tests(&services);
        let queue = queue(&options, &services, &store);
        let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
        Self {
            services,
            store,
            queue,
            options,
            connection,
        }
    }

    /// A name on the broker.
    pub(crate) fn name(&self, rest: &str) -> String {
        format!("{}.{rest}", self.options.prefix)
    }

    pub(crate) async fn channel(&self) -> Channel {
        let channel = self.connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        channel
    }

    /// Publishes past every check.
    pub(crate) async fn publish_raw(&self, exchange: &str, key: &str, properties: BasicProperties, body: &[u8]) {
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let channel = self.channel().await;
        let confirm = channel.basic_publish(exchange.into(), key.into(), options, body, properties);
        let confirmation = confirm.await.unwrap().await.unwrap();
        assert!(
            confirmation.is_ack() && confirmation.take_message().is_none(),
            "{key} leads somewhere"
        );
    }

    /// Lets time pass: the clock's, and that of what waits on the broker, which has a clock of its own.
    pub(crate) async fn advance(&self, by: Duration) {
        self.services.clock.advance(by);
        let channel = self.channel().await;
        for level in 0..17 {
            let queue = self.name(&format!("delay.{level}"));
            let mut waiting = Vec::new();
            loop {
                match channel
                    .basic_get(queue.as_str().into(), BasicGetOptions::default())
                    .await
                {
                    Ok(Some(message)) => waiting.push(message),
                    Ok(None) => break,
                    // Nothing was published yet, and so nothing declared.
                    Err(_) => return,
                }
            }
            for message in waiting {
                let key = message.delivery.routing_key.to_string();
                self.move_on(&key, message.delivery.properties.clone(), &message.delivery.data)
                    .await;
                message.delivery.acker.ack(BasicAckOptions::default()).await.unwrap();
            }
        }
    }

    async fn move_on(&self, key: &str, properties: BasicProperties, body: &[u8]) {
        let headers = properties.headers().clone().unwrap();
        let Some(AMQPValue::LongLongInt(due)) = headers.inner().get("aftercommit-due-at") else {
            panic!("what waits says until when");
        };
        let topic = key.rsplit('.').next().unwrap().to_owned();
        if *due <= self.services.clock.now().timestamp_micros() {
            let mut own = FieldTable::default();
            for (name, value) in headers.inner() {
                // The broker's own headers would be taken for those of a cycle.
                if name.as_str().starts_with("aftercommit-") {
                    own.insert(name.clone(), value.clone());
                }
            }
            let properties = properties.with_headers(own);
            self.publish_raw(&self.name("tasks"), &topic, properties, body).await;
        } else {
            let seconds = SLACK.as_secs();
            let bits = (0..17)
                .rev()
                .map(|bit| if seconds >> bit & 1 == 1 { "1." } else { "0." });
            let bits: String = bits.collect();
            let exchange = self.name("delay.16");
            self.publish_raw(&exchange, &format!("{bits}{topic}"), properties, body)
                .await;
        }
    }

    /// Leaves its names to the next rig, with nothing in them.
    pub(crate) async fn stop(self) {
        self.queue.close().await;
        let topics = BTreeSet::from([LETTERS, PARCELS]);
        let looking = queue(&self.options, &self.services, &self.store);
        let parts = looking.topology(&topics).await.unwrap();
        looking.close().await;
        let channel = self.channel().await;
        for part in parts.iter().filter(|part| part.exists && part.messages.is_some()) {
            let purging = channel.queue_purge(part.name.as_str().into(), QueuePurgeOptions::default());
            purging.await.unwrap();
        }
        let _ = self.connection.close(200, "OK".into()).await;
        FREE.lock().unwrap().push((kind(&self.options), self.options.prefix));
    }
}

/// What the queues of a rig differ by: the topics that are partitioned, and how much a queue takes.
type Kind = (Vec<TopicName>, Option<u32>);

fn kind(options: &AmqpOptions) -> Kind {
    (options.ordered_topics.clone(), options.max_length)
}

/// Names that are free again, by what is declared under them.
static FREE: Mutex<Vec<(Kind, String)>> = Mutex::new(Vec::new());

/// The first word of a rig's names: making queues anew for each test would take most of its time.
fn prefix(options: &AmqpOptions) -> String {
    static RIGS: AtomicU32 = AtomicU32::new(0);
    let mut free = FREE.lock().unwrap();
    match free.iter().position(|(of, _)| *of == kind(options)) {
        Some(place) => free.swap_remove(place).1,
        None => format!("rig{}-{}", std::process::id(), RIGS.fetch_add(1, Ordering::Relaxed)),
    }
}

/// A queue of another process on the same broker and database.
pub(crate) fn queue(options: &AmqpOptions, services: &TestServices, store: &InMemory) -> AmqpQueue {
    queue_on(options, services, stores(store))
}

pub(crate) fn stores(store: &InMemory) -> AmqpStores {
    AmqpStores {
        held: Arc::new(store.clone()),
        consumer: Arc::new(store.clone()),
        publisher: Arc::new(store.clone()),
        maintenance: Arc::new(store.clone()),
        inspector: Arc::new(store.clone()),
        history: Arc::new(store.clone()),
        dead_letters: Arc::new(store.clone()),
    }
}

pub(crate) fn queue_on(options: &AmqpOptions, services: &TestServices, stores: AmqpStores) -> AmqpQueue {
    let of_services = AmqpServices {
        clock: services.clock_port(),
        randomness: services.randomness_port(),
        limits: *services.codec.limits(),
    };
    AmqpQueue::new(options, of_services, stores)
}
