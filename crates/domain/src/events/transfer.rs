//! The shorter way from the outbox to the queue, where both are in one database.

use async_trait::async_trait;

use crate::contract::TaskEnvelope;
use crate::events::{Claim, Marked, OutboxError};

/// Publishes claimed rows and takes them out of the outbox in one transaction, instead of one after the other. A provider
/// offers it whose outbox and queue share a database; the relay then publishes and marks by it, and goes the longer way
/// for what it refuses.
///
/// **Contract**: all or nothing. `Ok` means durable: every task is on its topic, where one whose id was there already is
/// not added again; every row is out of the outbox, and events are in the event log. Tasks of one order key keep their
/// input order. Called concurrently. Dropping the call, or losing its answer, may still transfer: what was, is stale the
/// next time.
///
/// # Errors
/// [`OutboxError::Stale`] when a claim among them is: nothing was changed. [`OutboxError::Refused`] and its kind when a task
/// cannot be published: nothing was changed, and the longer way tells which. [`OutboxError::Conflict`]: nothing was changed. [`OutboxError::Unavailable`]: nothing was
/// changed, or everything.
#[async_trait]
pub trait OutboxTransfer: Send + Sync {
    /// Transfers `rows`: each claim with the task its row becomes.
    async fn transfer(&self, rows: Vec<(Claim, TaskEnvelope)>) -> Result<Marked, OutboxError>;
}
