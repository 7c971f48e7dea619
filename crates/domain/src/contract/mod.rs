//! What every event, task and workflow input must satisfy: a tenant, a name, a version, a bounded JSON payload that
//! holds ids and facts, and secrets that leave the process sealed only.

mod cause;
mod codec;
mod decode_error;
mod envelope_factory;
mod event_envelope;
mod json;
mod limits;
mod names;
mod payload;
mod sealed;
mod task_envelope;
mod tenant;
mod unambiguous;
mod wire;
mod workflow_envelope;

pub use aftercommit_domain_macros::Payload;
pub use cause::{Cause, CorrelationId, InvalidTrace, TraceContext};
pub use codec::{Codec, Contract, EncodeError, UpcastError};
pub use decode_error::DecodeError;
pub use envelope_factory::EnvelopeFactory;
pub use event_envelope::{AggregateRef, EventEnvelope};
pub use json::{InvalidJson, Json};
pub use limits::{LimitExceeded, Limits};
pub use names::{
    ActivityName, AggregateType, ChangeName, CoalescingKey, DispatchKey, EventName, HandlerName, InvalidName, OrderKey,
    RunId, ScheduleKey, SignalName, TaskName, TopicName, WorkerName, WorkflowKey, WorkflowName,
};
pub use payload::{BoundedText, PayloadField, StorageKey, TooLong};
pub use sealed::{SealContext, SealError, Sealed, SealedBytes, Sealer, is_scope_active};
pub use task_envelope::{RawTask, TaskEnvelope};
pub use tenant::{InvalidTenantId, OrganizationId, ProjectId, Scope, Tenant, TenantMismatch};
pub use workflow_envelope::WorkflowEnvelope;
