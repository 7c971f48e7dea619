//! Rows of a claim, on their way through the relay.

use std::panic::{AssertUnwindSafe, catch_unwind};

use aftercommit_domain::contract::{Codec, DecodeError, EventEnvelope, TaskEnvelope};
use aftercommit_domain::events::{Claim, Claimed, EventCatalogue, OutboxMessage, Release};
use aftercommit_domain::failure::Failure;
use tokio::time::Instant;

/// Claimed rows on their way: what to publish, and what cannot be.
pub(super) struct Batch {
    pub(super) events: Vec<EventEnvelope>,
    pub(super) event_claims: Vec<(Claim, u32)>,
    pub(super) tasks: Vec<TaskEnvelope>,
    pub(super) task_claims: Vec<(Claim, u32)>,
    pub(super) unreadable: Vec<(Claim, u32, Failure)>,
}

impl Batch {
    /// What can be read of `claimed`, in its order, and what cannot.
    pub(super) fn of(claimed: Vec<Claimed>, catalogue: &EventCatalogue, codec: &Codec) -> Self {
        let mut batch = Self {
            events: Vec::with_capacity(claimed.len()),
            event_claims: Vec::with_capacity(claimed.len()),
            tasks: Vec::new(),
            task_claims: Vec::new(),
            unreadable: Vec::new(),
        };
        for row in claimed {
            match read(&row, catalogue, codec) {
                Ok(OutboxMessage::Event(mut event)) => {
                    event.sequence = u64::try_from(row.claim.position).ok();
                    batch.events.push(event);
                    batch.event_claims.push((row.claim, row.attempts));
                }
                Ok(OutboxMessage::Task(task)) => {
                    batch.tasks.push(task);
                    batch.task_claims.push((row.claim, row.attempts));
                }
                Err(error) => batch.unreadable.push((row.claim, row.attempts, Failure::of(&error))),
            }
        }
        batch
    }
}

/// The message of a row within the limits, and an event only when its payload is what its contract says: producers in SQL
/// know no contracts.
fn read(row: &Claimed, catalogue: &EventCatalogue, codec: &Codec) -> Result<OutboxMessage, DecodeError> {
    let message = OutboxMessage::from_raw(&row.message, codec.limits())?;
    message.check_payload(codec.limits())?;
    if let OutboxMessage::Event(event) = &message {
        // A contract that panics is the dispatcher's to bear, where it ends one attempt of one event.
        catch_unwind(AssertUnwindSafe(|| catalogue.check(event, codec))).unwrap_or(Ok(()))?;
    }
    Ok(message)
}

/// Rows of one claim.
pub(super) struct Taken {
    pub(super) rows: Vec<Claimed>,
    /// From then on another relay may have them, should they not be marked in time.
    pub(super) trusted_until: Instant,
}

impl Taken {
    pub(super) fn claims(&self) -> Vec<Claim> {
        self.rows.iter().map(|row| row.claim).collect()
    }
}

/// As if they had never been claimed.
pub(super) fn untouched(claims: impl IntoIterator<Item = Claim>) -> impl Iterator<Item = (Claim, Release)> {
    claims.into_iter().map(|claim| (claim, Release::Untouched))
}

/// What a batch came to.
#[derive(Default)]
pub(super) struct Relayed {
    pub(super) published: Vec<Claim>,
    pub(super) releases: Vec<(Claim, Release)>,
    /// Rows that the queue did not take for no fault of theirs, and what was seen of the last of them.
    pub(super) put_off: usize,
    pub(super) why_put_off: Option<Failure>,
}
