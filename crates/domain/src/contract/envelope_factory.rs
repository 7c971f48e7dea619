//! Makes envelopes: the one place where a typed event or task gets its id, time, cause and sealed payload.

use std::sync::Arc;

use crate::contract::{Cause, Codec, EncodeError, EventEnvelope, InvalidName, OrderKey, TaskEnvelope};
use crate::events::DomainEvent;
use crate::ids::{Ids, MessageId};
use crate::tasks::{Task, TaskOptions};
use crate::time::{Clock, Timestamp};

/// Makes envelopes from typed contracts.
#[derive(Clone)]
pub struct EnvelopeFactory {
    codec: Codec,
    ids: Arc<dyn Ids>,
    clock: Arc<dyn Clock>,
    source: Arc<str>,
}

impl EnvelopeFactory {
    /// `source` is what events say they come from, a URI reference such as `/shop`.
    pub fn new(codec: Codec, ids: Arc<dyn Ids>, clock: Arc<dyn Clock>, source: impl Into<Arc<str>>) -> Self {
        Self {
            codec,
            ids,
            clock,
            source: source.into(),
        }
    }

    /// The codec that encodes the payloads.
    pub const fn codec(&self) -> &Codec {
        &self.codec
    }

    /// A new id.
    pub fn new_id(&self) -> MessageId {
        MessageId::new(&*self.ids)
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The envelope of `event` under a given id.
    pub fn event<E: DomainEvent>(&self, id: MessageId, event: &E, cause: &Cause) -> Result<EventEnvelope, EncodeError> {
        let aggregate = event.aggregate();
        // The aggregate orders the queue, so it must be a key.
        OrderKey::new(aggregate.to_string()).map_err(|_| EncodeError::Name {
            contract: E::contract_name(),
            source: InvalidName {
                kind: "an aggregate id",
                expected: "text of at most about 180 bytes without control characters",
            },
        })?;
        Ok(EventEnvelope {
            id,
            name: E::NAME,
            version: E::VERSION,
            source: self.source.to_string(),
            aggregate,
            occurred_at: self.clock.now(),
            tenant: event.tenant(),
            sequence: None,
            cause: cause.clone().rooted_at(id),
            payload: self.codec.encode(event, id)?,
        })
    }

    /// The envelope of `task` under a given id.
    pub fn task<T: Task>(
        &self,
        id: MessageId,
        task: &T,
        options: &TaskOptions,
        cause: &Cause,
    ) -> Result<TaskEnvelope, EncodeError> {
        let now = self.clock.now();
        let not_before = options.not_before(now).map_err(|source| EncodeError::Time {
            contract: T::contract_name(),
            source,
        })?;
        let order_key = options.order_key.clone().or_else(|| task.order_key());
        let coalescing = options.coalescing.of(|| task.coalescing());
        if let Some(coalescing) = &coalescing {
            coalescing
                .check(not_before.is_some(), order_key.is_some())
                .map_err(|source| EncodeError::Coalescing {
                    contract: T::contract_name(),
                    source,
                })?;
        }
        Ok(TaskEnvelope {
            id,
            topic: T::TOPIC,
            task: T::NAME,
            version: T::VERSION,
            tenant: task.tenant(),
            attempt: 1,
            enqueued_at: now,
            first_enqueued_at: now,
            not_before,
            deadline: options.deadline,
            order_key,
            coalescing,
            slot: None,
            cause: cause.clone().rooted_at(id),
            payload: self.codec.encode(task, id)?,
        })
    }

    /// `original` with another payload: the same message to everybody, in a new series of attempts. Its order is the
    /// contract's, or what it was when the contract has none.
    pub fn corrected<T: Task>(&self, original: &TaskEnvelope, task: &T) -> Result<TaskEnvelope, EncodeError> {
        Ok(TaskEnvelope {
            topic: T::TOPIC,
            task: T::NAME,
            version: T::VERSION,
            attempt: 1,
            enqueued_at: self.clock.now(),
            not_before: None,
            // A correction is this task again, and no further publish.
            coalescing: None,
            order_key: task.order_key().or_else(|| original.order_key.clone()),
            payload: self.codec.encode(task, original.id)?,
            ..original.clone()
        })
    }
}
