//! The envelope of a task: what any provider carries and any language can read.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::contract::wire::{self, WireId};
use crate::contract::{
    Cause, CorrelationId, DecodeError, Json, LimitExceeded, Limits, OrderKey, OrganizationId, ProjectId, TaskName,
    Tenant, TopicName,
};
use crate::events::{DISPATCH_TASK, DOMAIN_EVENTS_TOPIC};
use crate::ids::MessageId;
use crate::tasks::Coalescing;
use crate::time::Timestamp;
use crate::workflows::WORKFLOW_REQUESTS_TOPIC;

/// A task on its way to a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskEnvelope {
    /// The task's id and the idempotency key of its effects; stable over attempts and redeliveries.
    pub id: MessageId,
    /// The topic that owns it.
    pub topic: TopicName,
    /// Which task of the topic.
    pub task: TaskName,
    /// The payload's version.
    pub version: u16,
    /// Whose it is.
    pub tenant: Tenant,
    /// The attempt its next run will be, from 1. A provider that counts elsewhere leaves this at 1.
    pub attempt: u32,
    /// When it was put into its queue the last time.
    pub enqueued_at: Timestamp,
    /// When it was put into its queue the first time.
    pub first_enqueued_at: Timestamp,
    /// Not to be run before; `None` for at once.
    pub not_before: Option<Timestamp>,
    /// Not to be run after: a later run ends as skipped. `None` for no such time.
    pub deadline: Option<Timestamp>,
    /// Tasks of one tenant, topic and order key run one after another.
    pub order_key: Option<OrderKey>,
    /// How it is one task with others of its key; `None` for a task of its own.
    pub coalescing: Option<Coalescing>,
    /// The slot of the schedule that published it; `None` for what no schedule did.
    pub slot: Option<Timestamp>,
    /// Why it exists.
    pub cause: Cause,
    /// What is to be done.
    pub payload: Json,
}

/// A task as it came: bytes that may be anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawTask {
    /// The topic it was taken from.
    pub topic: TopicName,
    /// The envelope as it was stored or sent.
    pub body: Arc<[u8]>,
    /// What its sender said the bytes are, where that is not JSON; a queue in a database has only JSON.
    pub foreign_content: Option<String>,
}

impl TaskEnvelope {
    /// The JSON that is stored and sent.
    pub fn encode(&self) -> String {
        // Every part is a checked type or plain text, so this cannot fail; an empty body would be refused by any reader.
        serde_json::to_string(&Wire::from(self)).unwrap_or_default()
    }

    /// The JSON, if it and its payload are within `limits`.
    pub fn encode_within(&self, limits: &Limits) -> Result<String, LimitExceeded> {
        let text = self.encode();
        limits.check_envelope(text.len())?;
        self.payload.check_limits(&self.limits_of_payload(limits))?;
        Ok(text)
    }

    /// A task that carries an event has an envelope as its payload, and a request to a workflow what that is given.
    pub(crate) fn limits_of_payload(&self, limits: &Limits) -> Limits {
        if self.carries_an_event() {
            limits.of_carried_event()
        } else if self.topic == WORKFLOW_REQUESTS_TOPIC {
            limits.of_carried_workflow()
        } else {
            *limits
        }
    }

    fn carries_an_event(&self) -> bool {
        self.topic == DOMAIN_EVENTS_TOPIC && self.task == DISPATCH_TASK
    }

    /// Reads the JSON within `limits`.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, DecodeError> {
        wire::read::<Wire>(bytes, limits)?.try_into()
    }

    /// What the order key means to a queue: scoped by tenant, so that no tenant can hold up another's work, and of a task
    /// that carries an event by organization alone, as its row in the outbox was. Unique per topic. Keys and ids hold no
    /// control characters, so the separator cannot occur in them. A coalesced task may have the order of its window.
    pub fn ordering(&self) -> Option<String> {
        if let Some(coalescing) = &self.coalescing
            && coalescing.policy.runs_one_after_another()
        {
            return self.window_scope();
        }
        let organization = self.tenant.organization_id().map_or("", |id| id.as_str());
        let project = match self.tenant.project_id() {
            Some(id) if !self.carries_an_event() => id.as_str(),
            Some(_) | None => "",
        };
        self.order_key
            .as_ref()
            .map(|key| format!("{organization}\u{1f}{project}\u{1f}{key}"))
    }

    /// What the messages caused by this task pass on.
    pub fn cause_of_next(&self) -> Cause {
        self.cause.of_message(self.id)
    }
}

#[derive(Serialize, Deserialize)]
struct Wire {
    #[serde(default)]
    id: WireId,
    topic: TopicName,
    task: TaskName,
    version: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    organization_id: Option<OrganizationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    project_id: Option<ProjectId>,
    #[serde(default = "first")]
    attempt: u32,
    #[serde(deserialize_with = "wire::time")]
    enqueued_at: Timestamp,
    #[serde(deserialize_with = "wire::time")]
    first_enqueued_at: Timestamp,
    #[serde(
        default,
        deserialize_with = "wire::optional_time",
        skip_serializing_if = "Option::is_none"
    )]
    not_before: Option<Timestamp>,
    #[serde(
        default,
        deserialize_with = "wire::optional_time",
        skip_serializing_if = "Option::is_none"
    )]
    deadline: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order_key: Option<OrderKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    coalescing: Option<Coalescing>,
    #[serde(
        default,
        deserialize_with = "wire::optional_time",
        skip_serializing_if = "Option::is_none"
    )]
    slot: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation_id: Option<CorrelationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    causation_id: Option<WireId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tracestate: Option<String>,
    payload: Json,
}

const fn first() -> u32 {
    1
}

impl From<&TaskEnvelope> for Wire {
    fn from(task: &TaskEnvelope) -> Self {
        Self {
            id: task.id.into(),
            topic: task.topic.clone(),
            task: task.task.clone(),
            version: task.version,
            organization_id: task.tenant.organization_id().cloned(),
            project_id: task.tenant.project_id().cloned(),
            attempt: task.attempt,
            enqueued_at: task.enqueued_at,
            first_enqueued_at: task.first_enqueued_at,
            not_before: task.not_before,
            deadline: task.deadline,
            order_key: task.order_key.clone(),
            coalescing: task.coalescing.clone(),
            slot: task.slot,
            correlation_id: task.cause.correlation.clone(),
            causation_id: task.cause.causation.map(WireId::from),
            traceparent: task.cause.trace.as_ref().map(|trace| trace.traceparent().to_owned()),
            tracestate: task
                .cause
                .trace
                .as_ref()
                .and_then(|trace| trace.tracestate().map(str::to_owned)),
            payload: task.payload.clone(),
        }
    }
}

impl TryFrom<Wire> for TaskEnvelope {
    type Error = DecodeError;

    fn try_from(wire: Wire) -> Result<Self, DecodeError> {
        let contract = || format!("{}/{}", wire.topic, wire.task);
        if let Some(coalescing) = &wire.coalescing {
            coalescing
                .check(wire.not_before.is_some(), wire.order_key.is_some())
                .map_err(|source| DecodeError::Coalescing {
                    contract: contract(),
                    source,
                })?;
        }
        Ok(Self {
            id: wire.id.required("id")?,
            tenant: wire::tenant(wire.organization_id, wire.project_id, contract)?,
            topic: wire.topic,
            task: wire.task,
            version: wire.version,
            attempt: wire.attempt.max(1),
            enqueued_at: wire.enqueued_at,
            first_enqueued_at: wire.first_enqueued_at,
            not_before: wire.not_before,
            deadline: wire.deadline,
            order_key: wire.order_key,
            coalescing: wire.coalescing,
            slot: wire.slot,
            cause: Cause {
                correlation: wire.correlation_id,
                causation: wire::optional(wire.causation_id, "causation_id")?,
                trace: wire::trace(wire.traceparent.as_deref(), wire.tracestate.as_deref()),
            },
            payload: wire.payload,
        })
    }
}
