//! Which queues and exchanges there are, as data: the same on RabbitMQ 3.10 and 4.

mod delays;
mod part;

use std::collections::BTreeSet;

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::events::DOMAIN_EVENTS_TOPIC;
use aftercommit_domain::workflows::WORKFLOW_REQUESTS_TOPIC;

use crate::options::AmqpOptions;

pub(crate) use delays::{LEVELS, LONGEST_DELAY, entry_level, routing_key};
pub(crate) use part::{Argument, ExchangeKind, Part, PartKind};

/// How often a message may be delivered before the broker gives it up: far beyond what deploys and crashes come to, because
/// it counts what was only fetched ahead. Attempts are counted elsewhere.
const DELIVERY_LIMIT: i64 = 50;
/// The most messages of a queue beside those of the topics: of those that wait, are dead or had nowhere to go.
const MOST_ASIDE: i64 = 1_000_000;
/// What is drained into the database is never given up by the broker.
const NEVER: i64 = 1_000_000_000;

/// Names, and what is declared.
#[derive(Debug, Clone)]
pub(crate) struct Topology {
    prefix: String,
    partitions: u16,
    max_length: Option<i64>,
    ordered: BTreeSet<TopicName>,
}

impl Topology {
    pub(crate) fn new(options: &AmqpOptions) -> Self {
        let mut ordered: BTreeSet<TopicName> = options.ordered_topics.iter().cloned().collect();
        ordered.extend([DOMAIN_EVENTS_TOPIC, WORKFLOW_REQUESTS_TOPIC]);
        Self {
            prefix: options.prefix.clone(),
            partitions: options.partitions.max(1),
            max_length: options.max_length.map(i64::from),
            ordered,
        }
    }

    /// Whether its order keys are kept by partitions.
    pub(crate) fn is_ordered(&self, topic: &TopicName) -> bool {
        self.ordered.contains(topic)
    }

    /// The exchange this library publishes to: what it cannot route comes back.
    pub(crate) fn publish_exchange(&self) -> String {
        self.name("publish")
    }

    /// The exchange of other producers, and of messages whose wait is over: what it cannot route is kept.
    pub(crate) fn tasks_exchange(&self) -> String {
        self.name("tasks")
    }

    /// The exchange where other systems hear of domain events.
    pub(crate) fn events_exchange(&self) -> String {
        self.name("events")
    }

    /// The exchange of a delay level.
    pub(crate) fn delay_exchange(&self, level: u32) -> String {
        self.name(&format!("delay.{level}"))
    }

    /// Where messages are that the broker gave up.
    pub(crate) fn dead_queue(&self) -> String {
        self.name("dead")
    }

    /// Where messages are that had nowhere to go.
    pub(crate) fn unroutable_queue(&self) -> String {
        self.name("unroutable")
    }

    /// The queues of a topic: one, or its partitions.
    pub(crate) fn queues(&self, topic: &TopicName) -> Vec<String> {
        if self.is_ordered(topic) {
            let partition = |number| self.name(&format!("topic.{topic}.{number}"));
            (0..self.partitions).map(partition).collect()
        } else {
            vec![self.name(&format!("topic.{topic}"))]
        }
    }

    /// The partition of an ordering, or of a task without one: FNV-1a, which any language has, modulo their number.
    pub(crate) fn partition(&self, text: &str) -> u16 {
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        u16::try_from(hash % u64::from(self.partitions)).unwrap_or(0)
    }

    /// The routing key of a task that need not wait.
    pub(crate) fn direct_key(&self, topic: &TopicName, ordering_or_id: &str) -> String {
        if self.is_ordered(topic) {
            format!("{topic}.{}", self.partition(ordering_or_id))
        } else {
            topic.to_string()
        }
    }

    /// The topic in a routing key, whatever the message went through.
    pub(crate) fn topic_of(routing_key: &str) -> Option<TopicName> {
        let is_number = |word: &&str| word.bytes().all(|byte| byte.is_ascii_digit());
        let mut words = routing_key.split('.').rev().skip_while(is_number);
        words.find_map(|word| word.parse().ok())
    }

    /// What all topics share, in the order it is declared.
    pub(crate) fn shared(&self) -> Vec<Part> {
        let unroutable = self.name("unroutable");
        let dead = self.name("dead");
        let mut parts = vec![
            Part::exchange(&unroutable, ExchangeKind::Fanout, "takes what had nowhere to go"),
            Self::drained(&unroutable, "what had nowhere to go, on its way to the dead letters"),
            Part::exchange(&dead, ExchangeKind::Fanout, "takes what the broker gave up"),
            Self::drained(&dead, "what the broker gave up, on its way to the dead letters"),
            Part::exchange(
                &self.publish_exchange(),
                ExchangeKind::Direct,
                "what this library publishes; what cannot be routed comes back",
            ),
            Part::exchange(
                &self.tasks_exchange(),
                ExchangeKind::Topic,
                "what other producers publish, and what has waited",
            )
            .with("alternate-exchange", Argument::Text(unroutable.clone()))
            .bound(&self.delay_exchange(0), &delays::passed_on(0)),
            Part::exchange(
                &self.events_exchange(),
                ExchangeKind::Topic,
                "domain events for other systems, by name",
            ),
        ];
        for level in 0..LEVELS {
            parts.extend(self.delay_level(level, &unroutable));
        }
        parts
    }

    /// What a topic needs besides.
    pub(crate) fn of_topic(&self, topic: &TopicName) -> Vec<Part> {
        let (publish, tasks) = (self.publish_exchange(), self.tasks_exchange());
        if !self.is_ordered(topic) {
            let queues = self.queues(topic).into_iter().map(|name| {
                let queue = Part::queue(&name, &format!("tasks of {topic}"));
                let queue = match self.max_length {
                    Some(limit) => queue.with("x-max-length", Argument::Number(limit)),
                    None => queue,
                };
                queue
                    .bound(&publish, topic.as_str())
                    .bound(&tasks, &format!("#.{topic}"))
            });
            return queues.map(|queue| self.running(queue)).collect();
        }
        let partitions = self.queues(topic).into_iter().enumerate().map(|(number, name)| {
            let key = format!("{topic}.{number}");
            // Never full: what follows a refused message in its order would overtake it.
            let queue = Part::queue(&name, &format!("tasks of {topic}, partition {number}"))
                .with("x-single-active-consumer", Argument::Flag(true))
                .bound(&publish, &key)
                .bound(&tasks, &key);
            if number == 0 {
                queue.bound(&tasks, &format!("#.{topic}"))
            } else {
                queue
            }
        });
        partitions.map(|queue| self.running(queue)).collect()
    }

    fn running(&self, queue: Part) -> Part {
        queue
            .with("x-delivery-limit", Argument::Number(DELIVERY_LIMIT))
            .with("x-dead-letter-exchange", Argument::Text(self.name("dead")))
            .kept_until_taken()
    }

    fn drained(name: &str, purpose: &str) -> Part {
        Part::queue(name, purpose)
            .with("x-max-length", Argument::Number(MOST_ASIDE))
            .with("x-overflow", Argument::Text("reject-publish".into()))
            .with("x-delivery-limit", Argument::Number(NEVER))
            .bound(name, "")
    }

    fn name(&self, rest: &str) -> String {
        format!("{}.{rest}", self.prefix)
    }
}

#[cfg(test)]
mod tests;
