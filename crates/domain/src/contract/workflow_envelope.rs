//! The envelope of a workflow's input: what an engine keeps of a start, and any language can read.

use serde::{Deserialize, Serialize};

use crate::contract::wire::{self, WireId};
use crate::contract::{
    Cause, CorrelationId, DecodeError, Json, LimitExceeded, Limits, OrganizationId, ProjectId, Tenant, WorkflowName,
};
use crate::ids::MessageId;

/// What a workflow was started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowEnvelope {
    /// The id of the request that started it; its secrets are sealed for it.
    pub id: MessageId,
    /// The workflow.
    pub workflow: WorkflowName,
    /// The input's version.
    pub version: u16,
    /// Whose it is.
    pub tenant: Tenant,
    /// Why it exists.
    pub cause: Cause,
    /// The input.
    pub payload: Json,
}

impl WorkflowEnvelope {
    /// The JSON that is stored and sent.
    pub fn encode(&self) -> String {
        // Every part is a checked type or plain text, so this cannot fail; an empty body would be refused by any reader.
        serde_json::to_string(&Wire::from(self)).unwrap_or_default()
    }

    /// The JSON, if it and its payload are within `limits`.
    pub fn encode_within(&self, limits: &Limits) -> Result<String, LimitExceeded> {
        let text = self.encode();
        limits.check_envelope(text.len())?;
        self.payload.check_limits(limits)?;
        Ok(text)
    }

    /// Reads the JSON within `limits`.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, DecodeError> {
        wire::read::<Wire>(bytes, limits)?.try_into()
    }

    /// What the messages caused by this workflow pass on.
    pub fn cause_of_next(&self) -> Cause {
        self.cause.of_message(self.id)
    }
}

#[derive(Serialize, Deserialize)]
struct Wire {
    #[serde(default)]
    id: WireId,
    workflow: WorkflowName,
    version: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    organization_id: Option<OrganizationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    project_id: Option<ProjectId>,
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

impl From<&WorkflowEnvelope> for Wire {
    fn from(workflow: &WorkflowEnvelope) -> Self {
        let trace = workflow.cause.trace.as_ref();
        Self {
            id: workflow.id.into(),
            workflow: workflow.workflow.clone(),
            version: workflow.version,
            organization_id: workflow.tenant.organization_id().cloned(),
            project_id: workflow.tenant.project_id().cloned(),
            correlation_id: workflow.cause.correlation.clone(),
            causation_id: workflow.cause.causation.map(WireId::from),
            traceparent: trace.map(|trace| trace.traceparent().to_owned()),
            tracestate: trace.and_then(|trace| trace.tracestate().map(str::to_owned)),
            payload: workflow.payload.clone(),
        }
    }
}

impl TryFrom<Wire> for WorkflowEnvelope {
    type Error = DecodeError;

    fn try_from(wire: Wire) -> Result<Self, DecodeError> {
        Ok(Self {
            id: wire.id.required("id")?,
            tenant: wire::tenant(wire.organization_id, wire.project_id, || wire.workflow.to_string())?,
            workflow: wire.workflow,
            version: wire.version,
            cause: Cause {
                correlation: wire.correlation_id,
                causation: wire::optional(wire.causation_id, "causation_id")?,
                trace: wire::trace(wire.traceparent.as_deref(), wire.tracestate.as_deref()),
            },
            payload: wire.payload,
        })
    }
}
