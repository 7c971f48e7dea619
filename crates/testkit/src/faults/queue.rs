//! Faults of the queue: publishing, consuming, upkeep.

use std::collections::HashSet;
use std::sync::Arc;

use aftercommit_domain::contract::{TaskEnvelope, TopicName};
use aftercommit_domain::tasks::{
    ConsumeError, ConsumeOptions, Deliveries, Delivery, PublishError, Published, QueueCapabilities, QueueConsumer,
    QueueMaintenance, QueuePublisher,
};
use aftercommit_domain::time::Timestamp;
use async_trait::async_trait;

use super::delivery::FaultyDelivery;
use super::{Faulty, Operation, REASON, Script};

#[async_trait]
impl<P: QueuePublisher> QueuePublisher for Faulty<P> {
    async fn publish(&self, messages: Vec<TaskEnvelope>) -> Vec<Result<Published, PublishError>> {
        let count = messages.len();
        let refusal = self.script.lock().refusal.clone();
        let mut broken: HashSet<(TopicName, String)> = HashSet::new();
        let mut decided = Vec::with_capacity(count);
        let mut taken = Vec::with_capacity(count);
        for message in messages {
            let order = message.ordering().map(|key| (message.topic.clone(), key));
            let refused = refusal.as_ref().and_then(|rule| rule(&message));
            if order.as_ref().is_some_and(|order| broken.contains(order)) {
                decided.push(Some(PublishError::Blocked));
            } else if let Some(error) = refused {
                broken.extend(order);
                decided.push(Some(error));
            } else {
                taken.push(message);
                decided.push(None);
            }
        }
        let publish = async { Ok(self.inner.publish(taken).await) };
        let away = || PublishError::Unknown { reason: REASON.into() };
        let mut answers = match self.script.around(Operation::Publish, publish, away).await {
            Ok(answers) => answers.into_iter(),
            Err(error) => return vec![Err(error); count],
        };
        decided
            .into_iter()
            .map(|refused| match refused {
                Some(error) => Err(error),
                None => answers
                    .next()
                    .unwrap_or_else(|| Err(PublishError::Unknown { reason: REASON.into() })),
            })
            .collect()
    }

    fn capabilities(&self) -> QueueCapabilities {
        self.inner.capabilities()
    }
}

#[async_trait]
impl<P: QueueConsumer> QueueConsumer for Faulty<P> {
    async fn consume(&self, topic: &TopicName, options: ConsumeOptions) -> Result<Box<dyn Deliveries>, ConsumeError> {
        let consume = self.inner.consume(topic, options);
        let away = queue_away("consume");
        let inner = self.script.around(Operation::Consume, consume, away).await?;
        Ok(Box::new(FaultyDeliveries {
            inner,
            script: Arc::clone(&self.script),
        }))
    }
}

struct FaultyDeliveries {
    inner: Box<dyn Deliveries>,
    script: Arc<Script>,
}

#[async_trait]
impl Deliveries for FaultyDeliveries {
    async fn next(&mut self) -> Result<Option<Box<dyn Delivery>>, ConsumeError> {
        let next = self.inner.next();
        let next = self.script.around(Operation::Next, next, queue_away("next")).await?;
        Ok(next.map(|inner| {
            let script = Arc::clone(&self.script);
            Box::new(FaultyDelivery { inner, script }) as Box<dyn Delivery>
        }))
    }

    async fn stop(&mut self) {
        let stop = async {
            self.inner.stop().await;
            Ok::<(), ()>(())
        };
        let _ = self.script.around(Operation::StopConsuming, stop, || ()).await;
    }
}

#[async_trait]
impl<P: QueueMaintenance> QueueMaintenance for Faulty<P> {
    async fn rescue_expired(&self) -> Result<u64, ConsumeError> {
        let away = queue_away("rescue_expired");
        let rescue = self.inner.rescue_expired();
        self.script.around(Operation::RescueTasks, rescue, away).await
    }

    async fn prune_outcomes(&self, before: Timestamp, limit: u32) -> Result<u64, ConsumeError> {
        let prune = self.inner.prune_outcomes(before, limit);
        let away = queue_away("prune_outcomes");
        self.script.around(Operation::PruneOutcomes, prune, away).await
    }
}

const fn queue_away(operation: &'static str) -> impl Fn() -> ConsumeError {
    move || ConsumeError::Unavailable {
        operation,
        reason: REASON.into(),
    }
}
