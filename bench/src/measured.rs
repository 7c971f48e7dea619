//! A consumer that notes when deliveries are durably settled.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aftercommit::domain::contract::{RawTask, TopicName};
use aftercommit::domain::failure::Failure;
use aftercommit::domain::tasks::{
    ConsumeError, ConsumeOptions, Deliveries, Delivery, Outcome, QueueConsumer, SettleError,
};
use async_trait::async_trait;
use tokio::sync::watch;

/// Counts durable settles of one topic and tells when there were enough.
pub(crate) struct Settled {
    topic: TopicName,
    count: AtomicUsize,
    target: usize,
    done: watch::Sender<bool>,
}

impl Settled {
    pub(crate) fn new(topic: TopicName, target: usize) -> Arc<Self> {
        Arc::new(Self {
            topic,
            count: AtomicUsize::new(0),
            target,
            done: watch::channel(false).0,
        })
    }

    /// Returns when the last of them is durably settled.
    pub(crate) async fn all(&self) {
        // The sender lives as long as `self`, so this cannot fail.
        let _ = self.done.subscribe().wait_for(|done| *done).await;
    }

    fn one(&self) {
        if self.count.fetch_add(1, Ordering::Relaxed) + 1 == self.target {
            self.done.send_replace(true);
        }
    }
}

/// `inner`, with its settles counted.
pub(crate) struct Measured {
    pub(crate) inner: Arc<dyn QueueConsumer>,
    pub(crate) settled: Arc<Settled>,
}

#[async_trait]
impl QueueConsumer for Measured {
    async fn consume(&self, topic: &TopicName, options: ConsumeOptions) -> Result<Box<dyn Deliveries>, ConsumeError> {
        let inner = self.inner.consume(topic, options).await?;
        if *topic != self.settled.topic {
            return Ok(inner);
        }
        Ok(Box::new(MeasuredDeliveries {
            inner,
            settled: Arc::clone(&self.settled),
        }))
    }
}

struct MeasuredDeliveries {
    inner: Box<dyn Deliveries>,
    settled: Arc<Settled>,
}

#[async_trait]
impl Deliveries for MeasuredDeliveries {
    async fn next(&mut self) -> Result<Option<Box<dyn Delivery>>, ConsumeError> {
        let next = self.inner.next().await?;
        Ok(next.map(|inner| {
            Box::new(MeasuredDelivery {
                inner,
                settled: Arc::clone(&self.settled),
            }) as Box<dyn Delivery>
        }))
    }

    async fn stop(&mut self) {
        self.inner.stop().await;
    }
}

struct MeasuredDelivery {
    inner: Box<dyn Delivery>,
    settled: Arc<Settled>,
}

#[async_trait]
impl Delivery for MeasuredDelivery {
    fn task(&self) -> &RawTask {
        self.inner.task()
    }

    fn attempt(&self) -> u32 {
        self.inner.attempt()
    }

    fn redelivered(&self) -> bool {
        self.inner.redelivered()
    }

    fn is_held(&self) -> bool {
        self.inner.is_held()
    }

    fn must_run_alone(&self) -> bool {
        self.inner.must_run_alone()
    }

    async fn begin_alone(&self) -> Result<(), SettleError> {
        self.inner.begin_alone().await
    }

    async fn ack(self: Box<Self>, outcome: &Outcome) -> Result<(), SettleError> {
        self.inner.ack(outcome).await?;
        self.settled.one();
        Ok(())
    }

    async fn retry(
        self: Box<Self>,
        after: Duration,
        counted: bool,
        failure: Option<&Failure>,
    ) -> Result<(), SettleError> {
        self.inner.retry(after, counted, failure).await
    }

    async fn dead_letter(self: Box<Self>, failure: &Failure) -> Result<(), SettleError> {
        self.inner.dead_letter(failure).await
    }

    async fn give_back(self: Box<Self>) -> Result<(), SettleError> {
        self.inner.give_back().await
    }

    async fn set_aside(self: Box<Self>) -> Result<(), SettleError> {
        self.inner.set_aside().await
    }
}
