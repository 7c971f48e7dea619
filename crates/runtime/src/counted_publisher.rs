//! A queue's publisher that counts what became no task of its own.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use aftercommit_domain::contract::{TaskEnvelope, TopicName};
use aftercommit_domain::tasks::{Coalesced, PublishError, Published, QueueCapabilities, QueuePublisher};
use async_trait::async_trait;
use metrics::{Counter, counter, describe_counter};

const COALESCED: &str = "aftercommit_coalesced_total";

/// Publishes as the queue does, and counts the publishes that were coalesced, by topic and why. A topic that nobody
/// [declared](Self::declare) counts as `unknown`.
pub struct CountedPublisher {
    inner: Arc<dyn QueuePublisher>,
    topics: OnceLock<HashMap<TopicName, Counters>>,
    unknown: Counters,
}

struct Counters {
    dropped: Counter,
    replaced: Counter,
}

impl CountedPublisher {
    /// Counts what `inner` answers.
    pub fn new(inner: Arc<dyn QueuePublisher>) -> Self {
        describe_counter!(COALESCED, "Publishes that became no task of their own, by why");
        Self {
            inner,
            topics: OnceLock::new(),
            unknown: Counters::of("unknown"),
        }
    }

    /// The topics that are counted by their names. The first call counts.
    pub fn declare(&self, topics: impl IntoIterator<Item = TopicName>) {
        self.topics.get_or_init(|| {
            let topics = topics.into_iter();
            topics
                .map(|topic| {
                    let counters = Counters::of(topic.as_str());
                    (topic, counters)
                })
                .collect()
        });
    }

    fn count(&self, topic: &TopicName, why: Coalesced) {
        let counters = self.topics.get().and_then(|topics| topics.get(topic));
        let counters = counters.unwrap_or(&self.unknown);
        match why {
            Coalesced::Dropped => counters.dropped.increment(1),
            Coalesced::Replaced(_) => counters.replaced.increment(1),
        }
    }
}

impl Counters {
    fn of(topic: &str) -> Self {
        let counter = |why: &'static str| {
            let counter = counter!(COALESCED, "topic" => topic.to_owned(), "why" => why);
            // There from the beginning.
            counter.increment(0);
            counter
        };
        Self {
            dropped: counter("dropped"),
            replaced: counter("replaced"),
        }
    }
}

#[async_trait]
impl QueuePublisher for CountedPublisher {
    async fn publish(&self, messages: Vec<TaskEnvelope>) -> Vec<Result<Published, PublishError>> {
        if messages.iter().all(|message| message.coalescing.is_none()) {
            return self.inner.publish(messages).await;
        }
        let topics: Vec<TopicName> = messages.iter().map(|message| message.topic.clone()).collect();
        let results = self.inner.publish(messages).await;
        for (topic, result) in topics.iter().zip(&results) {
            if let Ok(Published::Coalesced { why, .. }) = result {
                self.count(topic, *why);
            }
        }
        results
    }

    fn capabilities(&self) -> QueueCapabilities {
        self.inner.capabilities()
    }
}
