//! Events for other systems, in their own words.

use std::sync::Arc;

use async_trait::async_trait;

use crate::contract::EventEnvelope;
use crate::tasks::PublishError;

/// Tells other systems of dispatched events, as CloudEvents. Nobody need listen.
#[async_trait]
pub trait EventFeed: Send + Sync {
    /// Tells of an event.
    ///
    /// **Contract**: `Ok` means that whoever listens has it durably. An event may be told of twice, under its id; those of one
    /// aggregate are told of in their order where the dispatcher keeps it. Called concurrently.
    async fn announce(&self, event: &EventEnvelope) -> Result<(), PublishError>;
}

fn _dyn_compatible(_: Arc<dyn EventFeed>) {}
