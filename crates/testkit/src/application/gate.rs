//! The ports through which the loops take work: closed unless the test runs the application.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::events::{Claim, Claimed, Marked, Outbox, OutboxError, OutboxStats, QuarantinedRow, Release};
use aftercommit_domain::tasks::{
    ConsumeError, ConsumeOptions, Deliveries, Delivery, PublishError, Published, QueueCapabilities, QueueConsumer,
    QueuePublisher,
};
use async_trait::async_trait;
use tokio::sync::watch;

use crate::InMemory;
use crate::application::books::Books;

/// A provider that hands out work only while it is open, and keeps in mind what was published. Clones share the gate.
#[derive(Clone)]
pub(super) struct Gated {
    pub(super) store: InMemory,
    pub(super) books: Arc<Books>,
    is_open: watch::Sender<bool>,
}

/// Closes the gate when it is dropped.
pub(super) struct Open<'a>(&'a watch::Sender<bool>);

impl Gated {
    pub(super) fn new(store: InMemory) -> Self {
        Self {
            store,
            books: Arc::default(),
            is_open: watch::Sender::new(false),
        }
    }

    pub(super) fn open(&self) -> Open<'_> {
        self.is_open.send_replace(true);
        Open(&self.is_open)
    }

    fn is_open(&self) -> bool {
        *self.is_open.borrow()
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.send_replace(false);
    }
}

/// Returns once the gate is as asked for.
async fn until(gate: &watch::Sender<bool>, open: bool) {
    // The sender is there for as long as anyone waits.
    let _ = gate.subscribe().wait_for(|is_open| *is_open == open).await;
}

#[async_trait]
impl Outbox for Gated {
    async fn claim(&self, limit: usize, lease: Duration) -> Result<Vec<Claimed>, OutboxError> {
        if self.is_open() {
            self.store.claim(limit, lease).await
        } else {
            Ok(Vec::new())
        }
    }

    async fn mark_published(&self, claims: &[Claim]) -> Result<Marked, OutboxError> {
        self.store.mark_published(claims).await
    }

    async fn release(&self, claims: Vec<(Claim, Release)>) -> Result<Marked, OutboxError> {
        self.store.release(claims).await
    }

    async fn rescue_expired(&self) -> Result<u64, OutboxError> {
        Outbox::rescue_expired(&self.store).await
    }

    async fn wait(&self, idle: Duration) {
        if self.is_open() {
            Outbox::wait(&self.store, idle).await;
        } else {
            until(&self.is_open, true).await;
        }
    }

    async fn stats(&self) -> Result<OutboxStats, OutboxError> {
        self.store.stats().await
    }

    async fn quarantined(&self, limit: u32) -> Result<Vec<QuarantinedRow>, OutboxError> {
        self.store.quarantined(limit).await
    }
}

#[async_trait]
impl QueuePublisher for Gated {
    async fn publish(
        &self,
        messages: Vec<aftercommit_domain::contract::TaskEnvelope>,
    ) -> Vec<Result<Published, PublishError>> {
        let answers = self.store.publish(messages.clone()).await;
        let published = messages.into_iter().zip(&answers);
        self.books
            .note(published.filter(|(_, answer)| answer.is_ok()).map(|(task, _)| task));
        answers
    }

    fn capabilities(&self) -> QueueCapabilities {
        self.store.capabilities()
    }
}

#[async_trait]
impl QueueConsumer for Gated {
    async fn consume(&self, topic: &TopicName, options: ConsumeOptions) -> Result<Box<dyn Deliveries>, ConsumeError> {
        Ok(Box::new(GatedDeliveries {
            inner: self.store.consume(topic, options).await?,
            is_open: self.is_open.clone(),
        }))
    }
}

struct GatedDeliveries {
    inner: Box<dyn Deliveries>,
    is_open: watch::Sender<bool>,
}

#[async_trait]
impl Deliveries for GatedDeliveries {
    async fn next(&mut self) -> Result<Option<Box<dyn Delivery>>, ConsumeError> {
        loop {
            until(&self.is_open, true).await;
            tokio::select! {
                biased;
                () = until(&self.is_open, false) => {}
                next = self.inner.next() => return next,
            }
        }
    }

    async fn stop(&mut self) {
        self.inner.stop().await;
    }
}
