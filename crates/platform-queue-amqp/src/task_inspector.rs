//! Looking at tasks: those the database knows one by one, those of the broker by their number.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{InspectionError, TaskDetails, TaskFilter, TaskInspector, TaskSummary, TopicDepth};
use async_trait::async_trait;

use crate::queue::AmqpQueue;
use crate::topology::PartKind;

#[async_trait]
impl TaskInspector for AmqpQueue {
    async fn list(&self, filter: &TaskFilter) -> Result<Vec<TaskSummary>, InspectionError> {
        self.inner.stores.inspector.list(filter).await
    }

    async fn find(&self, id: MessageId) -> Result<Option<TaskDetails>, InspectionError> {
        self.inner.stores.inspector.find(id).await
    }

    /// Running are those of this process. Those that wait for their time on the broker are not told apart by topic, and not
    /// counted here.
    async fn depths(&self) -> Result<Vec<TopicDepth>, InspectionError> {
        let held = self.inner.stores.inspector.depths().await?;
        let mut depths: BTreeMap<TopicName, TopicDepth> =
            held.into_iter().map(|depth| (depth.topic.clone(), depth)).collect();
        let known: BTreeMap<TopicName, u64> = self
            .inner
            .known()
            .iter()
            .map(|(topic, at_hand)| (topic.clone(), at_hand.load(Ordering::Relaxed)))
            .collect();
        for (topic, at_hand) in known {
            let (available, consumers) = self.seen(&topic).await?;
            let depth = depths.entry(topic.clone()).or_insert_with(|| TopicDepth {
                topic,
                available: 0,
                scheduled: 0,
                running: 0,
                paused: 0,
                consumers: None,
            });
            depth.available += available;
            depth.running += at_hand;
            depth.consumers = Some(consumers);
        }
        // A topic of which nothing is there and that nobody takes from is no news.
        depths.retain(|_, depth| {
            let tasks = depth.available + depth.scheduled + depth.running + depth.paused;
            tasks > 0 || depth.consumers != Some(0)
        });
        Ok(depths.into_values().collect())
    }
}

impl AmqpQueue {
    /// What waits in the queues of a topic, and who takes from it.
    async fn seen(&self, topic: &TopicName) -> Result<(u64, u64), InspectionError> {
        let (mut waiting, mut consumers) = (0, None);
        let parts = self.inner.declarer.parts(&BTreeSet::from([topic.clone()]));
        let queues = self.inner.topology.queues(topic);
        let of_topic = parts
            .iter()
            .filter(|part| part.kind == PartKind::Queue && queues.contains(&part.name));
        for part in of_topic {
            let seen = self.inner.declarer.seen(part).await;
            let seen = seen.map_err(|trouble| InspectionError::Unavailable {
                operation: "count",
                reason: trouble.to_string(),
            })?;
            if let Some(seen) = seen {
                waiting += seen.messages;
                // Each takes from all partitions; one that nobody takes from is nobody's.
                consumers = Some(consumers.unwrap_or(seen.consumers).min(seen.consumers));
            }
        }
        Ok((waiting, consumers.unwrap_or(0)))
    }
}
