//! The envelope of an event: CloudEvents 1.0 in JSON (`application/cloudevents+json`).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::contract::wire::{self, WireId};
use crate::contract::{
    AggregateType, Cause, CorrelationId, DecodeError, EventName, Json, Limits, OrderKey, OrganizationId, ProjectId,
    Tenant,
};
use crate::ids::MessageId;
use crate::time::Timestamp;

/// A fact on its way. The same from the outbox row to the last consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventEnvelope {
    /// Made by the writer, equal to the outbox row's id, never changed.
    pub id: MessageId,
    /// What happened.
    pub name: EventName,
    /// The payload's version.
    pub version: u16,
    /// Who said so: `/aftercommit` or what the application calls itself.
    pub source: String,
    /// What it happened to; events of one aggregate stay in order.
    pub aggregate: AggregateRef,
    /// When it happened; never rewritten.
    pub occurred_at: Timestamp,
    /// Whose it is.
    pub tenant: Tenant,
    /// Its position in the outbox: rises within an aggregate. `None` on the direct rail, which has no outbox row.
    pub sequence: Option<u64>,
    /// Why it exists.
    pub cause: Cause,
    /// What it says.
    pub payload: Json,
}

/// The thing an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AggregateRef {
    /// Its kind.
    pub kind: AggregateType,
    /// Its id, as text.
    pub id: String,
}

impl AggregateRef {
    /// The aggregate of this kind and id.
    pub fn new(kind: AggregateType, id: impl fmt::Display) -> Self {
        Self {
            kind,
            id: id.to_string(),
        }
    }

    /// The aggregate orders queues, so as a whole it must be a key.
    fn parse(text: &str) -> Option<Self> {
        OrderKey::new(text).ok()?;
        let (kind, id) = text.split_once('/')?;
        Some(Self {
            kind: kind.parse().ok()?,
            id: id.to_owned(),
        })
    }
}

impl fmt::Display for AggregateRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.id)
    }
}

impl EventEnvelope {
    /// The CloudEvents JSON.
    pub fn encode(&self) -> String {
        // Every part is a checked type or plain text, so this cannot fail; an empty body would be refused by any reader.
        serde_json::to_string(&Wire::from(self)).unwrap_or_default()
    }

    /// Reads CloudEvents JSON within `limits`.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, DecodeError> {
        wire::read::<Wire>(bytes, limits)?.try_into()
    }

    /// What the messages caused by this event pass on.
    pub fn cause_of_next(&self) -> Cause {
        self.cause.of_message(self.id)
    }
}

#[derive(Serialize, Deserialize)]
struct Wire {
    specversion: String,
    #[serde(default)]
    id: WireId,
    #[serde(rename = "type")]
    name: EventName,
    source: String,
    subject: String,
    #[serde(deserialize_with = "wire::time")]
    time: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    datacontenttype: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    organizationid: Option<OrganizationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    projectid: Option<ProjectId>,
    schemaversion: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sequence: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlationid: Option<CorrelationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    causationid: Option<WireId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tracestate: Option<String>,
    data: Json,
}

impl From<&EventEnvelope> for Wire {
    fn from(event: &EventEnvelope) -> Self {
        Self {
            specversion: "1.0".into(),
            id: event.id.into(),
            name: event.name.clone(),
            source: event.source.clone(),
            subject: event.aggregate.to_string(),
            time: event.occurred_at,
            datacontenttype: Some("application/json".into()),
            organizationid: event.tenant.organization_id().cloned(),
            projectid: event.tenant.project_id().cloned(),
            schemaversion: event.version,
            sequence: event.sequence.map(|sequence| format!("{sequence:020}")),
            correlationid: event.cause.correlation.clone(),
            causationid: event.cause.causation.map(WireId::from),
            traceparent: event.cause.trace.as_ref().map(|trace| trace.traceparent().to_owned()),
            tracestate: event
                .cause
                .trace
                .as_ref()
                .and_then(|trace| trace.tracestate().map(str::to_owned)),
            data: event.payload.clone(),
        }
    }
}

impl TryFrom<Wire> for EventEnvelope {
    type Error = DecodeError;

    fn try_from(wire: Wire) -> Result<Self, DecodeError> {
        let malformed = |reason: &str| DecodeError::Malformed {
            line: 1,
            column: 1,
            reason: reason.into(),
        };
        if wire.specversion != "1.0" {
            return Err(malformed("specversion must be 1.0"));
        }
        let sequence = match wire.sequence {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| malformed("sequence must be a number"))?),
        };
        Ok(Self {
            id: wire.id.required("id")?,
            tenant: wire::tenant(wire.organizationid, wire.projectid, || wire.name.to_string())?,
            name: wire.name,
            version: wire.schemaversion,
            source: wire.source,
            aggregate: AggregateRef::parse(&wire.subject).ok_or_else(|| {
                malformed("subject must be <aggregate type>/<id>, at most 200 bytes without control characters")
            })?,
            occurred_at: wire.time,
            sequence,
            cause: Cause {
                correlation: wire.correlationid,
                causation: wire::optional(wire.causationid, "causationid")?,
                trace: wire::trace(wire.traceparent.as_deref(), wire.tracestate.as_deref()),
            },
            payload: wire.data,
        })
    }
}
