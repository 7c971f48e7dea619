//! Rows of a claim, on their way through the relay.

use std::panic::{AssertUnwindSafe, catch_unwind};

use aftercommit_domain::contract::{
    Cause, Codec, CorrelationId, DecodeError, EventEnvelope, OrganizationId, ProjectId, TaskEnvelope, Tenant,
    TraceContext,
};
use aftercommit_domain::events::{Claim, Claimed, EventCatalogue, OutboxMessage, Release};
use aftercommit_domain::failure::Failure;
use aftercommit_domain::ids::MessageId;
use tokio::time::Instant;
use tracing::Span;

/// Claimed rows on their way: what to publish, and what cannot be.
pub(super) struct Batch {
    pub(super) events: Vec<EventEnvelope>,
    pub(super) event_claims: Vec<(Claim, Origin)>,
    pub(super) tasks: Vec<TaskEnvelope>,
    pub(super) task_claims: Vec<(Claim, Origin)>,
    pub(super) unreadable: Vec<(Claim, Origin, Failure)>,
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
            let (attempts, claim) = (row.attempts, row.claim);
            let message = match OutboxMessage::from_raw(&row.message, codec.limits()) {
                Ok(message) => message,
                Err(error) => {
                    let origin = Origin::unknown(attempts);
                    batch.unreadable.push((claim, origin, Failure::of(&error)));
                    continue;
                }
            };
            let origin = Origin::of_message(attempts, &message);
            if let Err(error) = check(&message, catalogue, codec) {
                batch.unreadable.push((claim, origin, Failure::of(&error)));
                continue;
            }
            match message {
                OutboxMessage::Event(mut event) => {
                    event.sequence = u64::try_from(claim.position).ok();
                    batch.event_claims.push((claim, origin));
                    batch.events.push(event);
                }
                OutboxMessage::Task(task) => {
                    batch.task_claims.push((claim, origin));
                    batch.tasks.push(task);
                }
            }
        }
        batch
    }
}

/// What is wrong with a message: it is over a limit, or an event whose payload is not what its contract says; producers in
/// SQL know no contracts.
fn check(message: &OutboxMessage, catalogue: &EventCatalogue, codec: &Codec) -> Result<(), DecodeError> {
    message.check_payload(codec.limits())?;
    if let OutboxMessage::Event(event) = message {
        // A contract that panics is the dispatcher's to bear, where it ends one attempt of one event.
        return catch_unwind(AssertUnwindSafe(|| catalogue.check(event, codec))).unwrap_or(Ok(()));
    }
    Ok(())
}

/// What a row was, for the log: whose it is, and what it is part of.
#[derive(Clone)]
pub(super) struct Origin {
    /// How often it was tried before.
    pub(super) attempts: u32,
    message: Option<(MessageId, Tenant, Cause)>,
}

impl Origin {
    fn of(attempts: u32, id: MessageId, tenant: &Tenant, cause: &Cause) -> Self {
        Self {
            attempts,
            message: Some((id, tenant.clone(), cause.clone())),
        }
    }

    fn of_message(attempts: u32, message: &OutboxMessage) -> Self {
        match message {
            OutboxMessage::Event(event) => Self::of(attempts, event.id, &event.tenant, &event.cause),
            OutboxMessage::Task(task) => Self::of(attempts, task.id, &task.tenant, &task.cause),
        }
    }

    const fn unknown(attempts: u32) -> Self {
        Self {
            attempts,
            message: None,
        }
    }

    /// What lines about the row have in common. At the highest level, so that no filter takes the tenant away.
    pub(super) fn span(&self) -> Span {
        let Some((id, tenant, cause)) = &self.message else {
            return Span::none();
        };
        tracing::error_span!(
            "relay.row",
            message_id = %id,
            organization_id = tenant.organization_id().map(OrganizationId::as_str),
            project_id = tenant.project_id().map(ProjectId::as_str),
            trace_id = cause.trace.as_ref().map(TraceContext::trace_id),
            correlation_id = cause.correlation.as_ref().map(CorrelationId::as_str),
            otel.kind = "producer",
            messaging.system = "aftercommit",
            messaging.operation.type = "send",
            messaging.message.id = %id,
            messaging.message.conversation_id = cause.correlation.as_ref().map(CorrelationId::as_str),
        )
    }
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
