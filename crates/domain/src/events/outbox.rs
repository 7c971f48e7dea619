//! The outbox: what a transaction decides leaves with it, or not at all.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::contract::{
    Cause, DecodeError, EncodeError, EnvelopeFactory, EventEnvelope, InvalidJson, Limits, TaskEnvelope, Tenant,
    TenantMismatch,
};
use crate::events::DomainEvent;
use crate::failure::{Classified, ErrorClass, Failure};
use crate::ids::MessageId;
use crate::tasks::{RetryPolicy, Task, TaskOptions};
use crate::time::Timestamp;

/// A message a transaction decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutboxMessage {
    /// A fact for the dispatcher.
    Event(EventEnvelope),
    /// A task for its topic.
    Task(TaskEnvelope),
}

/// An outbox message as it is stored. Workflow starts and signals will be further kinds; a reader that meets a kind it
/// does not know quarantines the row instead of losing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawOutboxMessage {
    /// `event` or `task`.
    pub kind: String,
    /// The encoded envelope.
    pub body: Vec<u8>,
}

/// Writes messages into one open transaction.
///
/// **Contract**: `Ok` of `append` means the rows are part of the transaction; they leave when it commits and vanish when
/// it does not. Within one writer, messages of one aggregate leave in the order they were appended. Answers the ids in
/// input order. Refuses a message of another tenant than the transaction's.
///
/// # Errors
/// [`OutboxError`]; after one the transaction should be rolled back.
#[async_trait]
pub trait OutboxWriter: Send {
    /// Adds `messages` to the transaction.
    async fn append(&mut self, messages: Vec<OutboxMessage>) -> Result<Vec<MessageId>, OutboxError>;

    /// Makes the envelopes.
    fn envelopes(&self) -> &EnvelopeFactory;

    /// Why this transaction happens.
    fn cause(&self) -> &Cause;
}

/// What users write with: typed events and tasks.
#[async_trait]
pub trait OutboxWriterExt: OutboxWriter {
    /// Writes an event; it is relayed after the commit. Answers its id.
    async fn write<E: DomainEvent>(&mut self, event: E) -> Result<MessageId, WriteError> {
        let envelope = self
            .envelopes()
            .event(self.envelopes().new_id(), &event, self.cause())?;
        let id = envelope.id;
        self.append(vec![OutboxMessage::Event(envelope)]).await?;
        Ok(id)
    }

    /// Writes a task; it is put on its topic after the commit. Answers its id.
    async fn publish<T: Task>(&mut self, task: T, options: TaskOptions) -> Result<MessageId, WriteError> {
        let envelope = self
            .envelopes()
            .task(self.envelopes().new_id(), &task, &options, self.cause())?;
        let id = envelope.id;
        self.append(vec![OutboxMessage::Task(envelope)]).await?;
        Ok(id)
    }
}

impl<W: OutboxWriter + ?Sized> OutboxWriterExt for W {}

/// A typed message could not be written. The transaction should be rolled back.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// It does not become an envelope.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The store refused it.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
}

impl Classified for WriteError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Encode(error) => error.class(),
            Self::Outbox(error) => error.class(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Encode(error) => error.code(),
            Self::Outbox(error) => error.code(),
        }
    }
}

/// The relay's side of the outbox.
///
/// **Contract**: a row is claimable the moment its transaction committed, in whatever order transactions commit. Every
/// claim has a new lease token and expires by the store's own time; a write-back with a token that is no longer the
/// row's changes nothing. Rows of one aggregate are handed out in write order: a row is claimed only together with, or
/// after, every earlier row of its aggregate; while an earlier row waits for its retry or is claimed, it waits too.
/// Called concurrently by any number of relays.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Takes up to `limit` rows for `lease`, roughly oldest first.
    async fn claim(&self, limit: usize, lease: Duration) -> Result<Vec<Claimed>, OutboxError>;

    /// Takes published rows out: events go to the event log, all in one transaction. `Ok` means durable.
    async fn mark_published(&self, claims: &[Claim]) -> Result<Marked, OutboxError>;

    /// Gives rows back, each with what is to become of it. `Ok` means durable.
    async fn release(&self, claims: Vec<(Claim, Release)>) -> Result<Marked, OutboxError>;

    /// Frees the rows whose lease expired. Answers how many.
    async fn rescue_expired(&self) -> Result<u64, OutboxError>;

    /// Returns when a row may have become claimable: right after a local commit, or when the next retry is due. May
    /// return for nothing; never later than `idle`.
    async fn wait(&self, idle: Duration);

    /// What is in it.
    async fn stats(&self) -> Result<OutboxStats, OutboxError>;

    /// Rows that are kept aside, the newest first, at most `limit`.
    async fn quarantined(&self, limit: u32) -> Result<Vec<QuarantinedRow>, OutboxError>;
}

/// Proves that a row was claimed, and by whom it may be written back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The row: its position, which rises in write order.
    pub position: i64,
    /// The lease token of this claim.
    pub token: LeaseToken,
}

/// Drawn anew for each claim; a write-back with an old one changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseToken(pub i64);

/// A claimed row.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// To write it back.
    pub claim: Claim,
    /// How often it was claimed before without being published for its own fault.
    pub attempts: u32,
    /// When its transaction wrote it.
    pub written_at: Timestamp,
    /// What it holds.
    pub message: RawOutboxMessage,
}

/// What becomes of a row that was not published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Release {
    /// Try again after this time.
    Retry {
        /// How long to wait.
        after: Duration,
        /// Whether it counts towards quarantine.
        counted: bool,
        /// Why it failed.
        failure: Failure,
    },
    /// Keep it aside with its reason; the rows after it go on.
    Quarantine {
        /// Why.
        failure: Failure,
    },
    /// Nothing was tried; claimable at once.
    Untouched,
}

/// What a write-back did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marked {
    /// Rows changed.
    pub changed: u64,
    /// Rows whose token was stale: another relay has them, or an earlier call did it already.
    pub stale: u64,
}

/// What is in the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxStats {
    /// Waiting to be published.
    pub waiting: u64,
    /// Claimed by a relay.
    pub claimed: u64,
    /// Kept aside.
    pub quarantined: u64,
    /// When the oldest waiting or claimed row was written.
    pub oldest: Option<Timestamp>,
}

/// A row that is kept aside because it could not be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedRow {
    /// When its transaction wrote it.
    pub written_at: Timestamp,
    /// What it holds.
    pub message: RawOutboxMessage,
    /// Why, in the words of the failure.
    pub reason: String,
}

/// The outbox could not do it.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The store is away or too slow.
    #[error("the outbox is unavailable ({operation}): {reason}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// What the store said.
        reason: String,
    },
    /// The store refused the statement.
    #[error("the outbox refused {operation}: {reason}")]
    Refused {
        /// What was tried.
        operation: &'static str,
        /// What the store said.
        reason: String,
    },
    /// Another transaction was in the way; the whole transaction may be tried again.
    #[error("the outbox had a conflict ({operation}): {reason}")]
    Conflict {
        /// What was tried.
        operation: &'static str,
        /// What the store said.
        reason: String,
    },
    /// Another relay holds some of these rows by now; nothing was changed.
    #[error("another relay holds some of these rows ({operation})")]
    Stale {
        /// What was tried.
        operation: &'static str,
    },
    /// A message of another tenant.
    #[error(transparent)]
    Tenant(#[from] TenantMismatch),
    /// A message over a limit.
    #[error(transparent)]
    Limit(#[from] crate::contract::LimitExceeded),
}

impl Classified for OutboxError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Unavailable { .. } => ErrorClass::Outage,
            Self::Conflict { .. } | Self::Stale { .. } => ErrorClass::Retryable,
            Self::Refused { .. } | Self::Tenant(_) | Self::Limit(_) => ErrorClass::Permanent,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "outbox.unavailable",
            Self::Refused { .. } => "outbox.refused",
            Self::Conflict { .. } => "outbox.conflict",
            Self::Stale { .. } => "outbox.stale",
            Self::Tenant(_) => "tenant.mismatch",
            Self::Limit(limit) => limit.code(),
        }
    }
}

impl OutboxMessage {
    /// Whose it is.
    pub const fn tenant(&self) -> &Tenant {
        match self {
            Self::Event(event) => &event.tenant,
            Self::Task(task) => &task.tenant,
        }
    }

    /// Its id, which is the row's.
    pub const fn id(&self) -> MessageId {
        match self {
            Self::Event(event) => event.id,
            Self::Task(task) => task.id,
        }
    }

    /// What the rows are ordered by; `None` for a message that has no order. That of an event is its aggregate, scoped by
    /// organization: some events of one aggregate name a project, and others do not.
    pub fn ordering(&self) -> Option<String> {
        match self {
            Self::Event(event) => {
                let organization = event.tenant.organization_id().map_or("", |id| id.as_str());
                Some(format!("{organization}\u{1f}\u{1f}{}", event.aggregate))
            }
            Self::Task(task) => task.ordering().map(|key| format!("{}\u{1f}{key}", task.topic)),
        }
    }

    /// Refuses a message of another tenant than the transaction's, or one over the limits; answers what is stored.
    pub fn to_raw(&self, transaction: &Tenant, limits: &Limits) -> Result<RawOutboxMessage, OutboxError> {
        if !transaction.may_write_for(self.tenant()) {
            let (what, got, expected) = (self.describe(), self.tenant().clone(), transaction.clone());
            return Err(TenantMismatch { what, got, expected }.into());
        }
        let (kind, body) = match self {
            Self::Event(event) => ("event", event.encode()),
            Self::Task(task) => ("task", task.encode()),
        };
        limits.check_envelope(body.len())?;
        match self {
            Self::Event(event) => event.payload.check_limits(limits)?,
            Self::Task(task) => task.payload.check_limits(&task.limits_of_payload(limits))?,
        }
        Ok(RawOutboxMessage {
            kind: kind.into(),
            body: body.into_bytes(),
        })
    }

    /// Reads what is stored.
    pub fn from_raw(raw: &RawOutboxMessage, limits: &Limits) -> Result<Self, DecodeError> {
        match raw.kind.as_str() {
            "event" => EventEnvelope::decode(&raw.body, limits).map(Self::Event),
            "task" => TaskEnvelope::decode(&raw.body, limits).map(Self::Task),
            other => Err(DecodeError::Unknown {
                contract: format!("outbox kind {other}"),
            }),
        }
    }

    /// Refuses a message whose payload no reader would take: over `limits`, or with what a database cannot store. What is
    /// read may be somebody else's, who keeps no limits.
    pub fn check_payload(&self, limits: &Limits) -> Result<(), DecodeError> {
        let checked = match self {
            Self::Event(event) => event.payload.check(limits),
            Self::Task(task) => task.payload.check(&task.limits_of_payload(limits)),
        };
        checked.map_err(|error| match error {
            InvalidJson::Limit(limit) => limit.into(),
            InvalidJson::Malformed { .. } | InvalidJson::HalfCharacter { .. } | InvalidJson::Nul { .. } => {
                DecodeError::Payload {
                    contract: self.describe(),
                    reason: error.to_string(),
                    code: error.code(),
                }
            }
        })
    }

    /// Its contract and id, for messages to people.
    pub fn describe(&self) -> String {
        match self {
            Self::Event(event) => format!("event {} {}", event.name, event.id),
            Self::Task(task) => format!("task {}/{} {}", task.topic, task.task, task.id),
        }
    }
}

/// How the relay treats rows that fail.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RelayPolicy {
    /// Backoff and number of attempts before quarantine.
    pub retry: RetryPolicy,
}

/// What becomes of a row whose publish failed, decided in this one place. `jitter` is in `0.0..1.0`.
pub fn release_after(failure: Failure, attempts: u32, policy: &RelayPolicy, jitter: f64) -> Release {
    let attempt = attempts.saturating_add(1);
    match failure.class {
        ErrorClass::Permanent => Release::Quarantine { failure },
        ErrorClass::Retryable if attempt >= policy.retry.max_attempts => Release::Quarantine { failure },
        ErrorClass::Retryable => Release::Retry {
            after: policy.retry.delay(attempt, jitter),
            counted: true,
            failure,
        },
        ErrorClass::Outage | ErrorClass::RateLimited => Release::Retry {
            after: policy.retry.delay(attempt, jitter),
            counted: false,
            failure,
        },
    }
}
