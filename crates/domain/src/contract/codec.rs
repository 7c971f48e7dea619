//! From a typed contract to its payload and back: limits, versions, tenant and sealing in one place.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::contract::sealed::{reading_clear, reading_either, with_scope};
use crate::contract::unambiguous;
use crate::contract::{
    DecodeError, InvalidJson, InvalidName, Json, Limits, Scope, SealContext, SealError, Sealer, Tenant,
};
use crate::failure::{Classified, ErrorClass};
use crate::ids::MessageId;
use crate::tasks::{DelayOutOfRange, InvalidCoalescing};

/// What every event, task and workflow input is. Derived; not written by hand.
pub trait Contract: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The payload's version; raised when its JSON changes in a way an older reader would misread.
    const VERSION: u16;
    /// Which tenant ids it carries.
    const SCOPE: Scope;
    /// Why it carries fewer than both, for those that do.
    const EXEMPTION: Option<&'static str>;

    /// Its wire name: `InvoicePaid` for an event, `receipts/send` for a task.
    fn contract_name() -> String;

    /// Whose it is.
    fn tenant(&self) -> Tenant;

    /// Turns the JSON of an older version into that of the next one. Called again until `VERSION` is reached.
    fn upcast(from: u16, payload: serde_json::Value) -> Result<serde_json::Value, UpcastError> {
        let _ = payload;
        Err(UpcastError {
            from,
            reason: "no upcaster was given".into(),
        })
    }
}

/// An older payload could not be turned into a newer one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("version {from} cannot be read: {reason}")]
pub struct UpcastError {
    /// The version that was to be read.
    pub from: u16,
    /// Why not.
    pub reason: String,
}

/// Encodes and decodes payloads.
#[derive(Clone)]
pub struct Codec {
    sealer: Arc<dyn Sealer>,
    limits: Limits,
}

/// A contract could not become a payload. Nothing was stored or sent.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// A limit or the JSON itself.
    #[error("{contract}: {source}")]
    Json {
        /// The contract.
        contract: String,
        /// The reason.
        source: InvalidJson,
    },
    /// A secret could not be sealed.
    #[error("{contract}: {source}")]
    Seal {
        /// The contract.
        contract: String,
        /// The reason.
        source: SealError,
    },
    /// Its own `Serialize` refused.
    #[error("{contract} does not serialise: {reason}")]
    Serialise {
        /// The contract.
        contract: String,
        /// The reason.
        reason: String,
    },
    /// Its time is out of bounds.
    #[error("{contract}: {source}")]
    Time {
        /// The contract.
        contract: String,
        /// The reason.
        source: DelayOutOfRange,
    },
    /// It is to be coalesced in a way that cannot be meant.
    #[error("{contract}: {source}")]
    Coalescing {
        /// The contract.
        contract: String,
        /// The reason.
        source: InvalidCoalescing,
    },
    /// A name or key in it is out of bounds.
    #[error("{contract}: {source}")]
    Name {
        /// The contract.
        contract: String,
        /// The reason.
        source: InvalidName,
    },
    /// A route answered what belongs to a tenant that its event may not write for.
    #[error("{contract} belongs to {got}, but the event it follows from to {event}")]
    Tenant {
        /// The contract.
        contract: String,
        /// Whose it is.
        got: Tenant,
        /// Whose the event is.
        event: Tenant,
    },
}

impl Classified for EncodeError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Json { .. }
            | Self::Seal { .. }
            | Self::Serialise { .. }
            | Self::Time { .. }
            | Self::Coalescing { .. }
            | Self::Name { .. }
            | Self::Tenant { .. } => ErrorClass::Permanent,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Json { source, .. } => source.code(),
            Self::Seal { source, .. } => source.code(),
            Self::Serialise { .. } => "payload.unserialisable",
            Self::Time { .. } => "delay.out_of_range",
            Self::Coalescing { source, .. } => source.code(),
            Self::Name { .. } => "name.invalid",
            Self::Tenant { .. } => "tenant.mismatch",
        }
    }
}

impl Codec {
    /// A codec with these limits, sealing with `sealer`.
    pub fn new(sealer: Arc<dyn Sealer>, limits: Limits) -> Self {
        Self { sealer, limits }
    }

    /// What it seals with: for those who keep secrets outside payloads, such as in a column.
    pub fn sealer(&self) -> &Arc<dyn Sealer> {
        &self.sealer
    }

    /// The limits it keeps.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The payload of `contract` as message `id`, with its secrets sealed for exactly that message.
    pub fn encode<C: Contract>(&self, contract: &C, id: MessageId) -> Result<Json, EncodeError> {
        let context = SealContext {
            tenant: contract.tenant(),
            contract: C::contract_name(),
            message_id: id,
        };
        let (text, seal_error) = with_scope(&self.sealer, context, || serde_json::to_string(contract));
        if let Some(source) = seal_error {
            return Err(EncodeError::Seal {
                contract: C::contract_name(),
                source,
            });
        }
        let text = text.map_err(|error| EncodeError::Serialise {
            contract: C::contract_name(),
            reason: error.to_string(),
        })?;
        Json::parse(text, &self.limits).map_err(|source| EncodeError::Json {
            contract: C::contract_name(),
            source,
        })
    }

    /// The contract in a person's own input, in which secrets stand in clear; never in what came from a store.
    pub fn read_input<C: Contract>(&self, input: &Json) -> Result<C, DecodeError> {
        check_object::<C>(input)?;
        reading_clear(|| serde_json::from_str(input.as_str()))
            .map_err(|error| payload_error::<C>(error.to_string(), "payload.malformed"))
    }

    /// The contract in what a person made of the payload of message `id` of `tenant`: a secret stands in it in clear, or
    /// sealed as it was. It must still be that tenant's.
    pub fn read_correction<C: Contract>(&self, input: &Json, tenant: &Tenant, id: MessageId) -> Result<C, DecodeError> {
        check_scope::<C>(tenant)?;
        let context = SealContext {
            tenant: tenant.clone(),
            contract: C::contract_name(),
            message_id: id,
        };
        let (contract, seal_error) = with_scope(&self.sealer, context, || {
            reading_either(|| serde_json::from_str::<C>(input.as_str()))
        });
        if let Some(source) = seal_error {
            return Err(DecodeError::Seal {
                contract: C::contract_name(),
                source,
            });
        }
        let contract = contract.map_err(|error| payload_error::<C>(error.to_string(), "payload.malformed"))?;
        of_tenant(contract, tenant)
    }

    /// The contract in `payload`, which came as message `id` of `tenant` in `version`.
    pub fn decode<C: Contract>(
        &self,
        payload: &Json,
        version: u16,
        tenant: &Tenant,
        id: MessageId,
    ) -> Result<C, DecodeError> {
        check_scope::<C>(tenant)?;
        payload.check(&self.limits).map_err(|error| match error {
            InvalidJson::Limit(limit) => DecodeError::Limit(limit),
            InvalidJson::Malformed { .. } | InvalidJson::HalfCharacter { .. } | InvalidJson::Nul { .. } => {
                payload_error::<C>(error.to_string(), error.code())
            }
        })?;
        check_object::<C>(payload)?;
        let context = SealContext {
            tenant: tenant.clone(),
            contract: C::contract_name(),
            message_id: id,
        };
        let upcasted = upcast::<C>(payload, version)?;
        let (contract, seal_error) = with_scope(&self.sealer, context, || match upcasted {
            None => serde_json::from_str::<C>(payload.as_str()),
            Some(value) => serde_json::from_value::<C>(value),
        });
        if let Some(source) = seal_error {
            return Err(DecodeError::Seal {
                contract: C::contract_name(),
                source,
            });
        }
        let contract = contract.map_err(|error| payload_error::<C>(without_values(&error), "payload.malformed"))?;
        of_tenant(contract, tenant)
    }
}

fn of_tenant<C: Contract>(contract: C, tenant: &Tenant) -> Result<C, DecodeError> {
    if contract.tenant() == *tenant {
        Ok(contract)
    } else {
        Err(DecodeError::TenantMismatch {
            contract: C::contract_name(),
            envelope: tenant.clone(),
            payload: contract.tenant(),
        })
    }
}

/// What a payload is wrong in, without what it says: somebody may have written a secret in clear.
fn without_values(error: &serde_json::Error) -> String {
    let at = match error.line() {
        0 => String::new(),
        line => format!(" at line {line} column {}", error.column()),
    };
    let text = error.to_string();
    let text = text.strip_suffix(&at).unwrap_or(&text);
    let names_a_field = ["missing field `", "duplicate field `"]
        .iter()
        .any(|start| text.starts_with(start));
    if names_a_field {
        return format!("{text}{at}");
    }
    let kind = text.split(['"', '`', ':']).next().unwrap_or_default();
    match text.rsplit_once(", expected ") {
        Some((found, expected)) => {
            let found = found.split(['"', '`']).next().unwrap_or(kind).trim_end();
            format!("{found}, expected {expected}{at}")
        }
        None => format!("a value is not what the contract says{at}"),
    }
}

fn payload_error<C: Contract>(reason: String, code: &'static str) -> DecodeError {
    DecodeError::Payload {
        contract: C::contract_name(),
        reason,
        code,
    }
}

/// A list would be read as the fields in their order, whatever they are called.
fn check_object<C: Contract>(payload: &Json) -> Result<(), DecodeError> {
    if payload.as_str().trim_start().starts_with('[') {
        return Err(payload_error::<C>("it is no object".into(), "payload.malformed"));
    }
    Ok(())
}

fn check_scope<C: Contract>(tenant: &Tenant) -> Result<(), DecodeError> {
    if tenant.scope() == C::SCOPE {
        return Ok(());
    }
    let need = match C::SCOPE {
        Scope::Project => "an organization id and a project id",
        Scope::Organization => "an organization id and no project id",
        Scope::System => "no tenant",
    };
    Err(DecodeError::TenantMissing {
        contract: C::contract_name(),
        need,
        got: tenant.clone(),
    })
}

/// `None` when the payload already has the newest version.
fn upcast<C: Contract>(payload: &Json, version: u16) -> Result<Option<serde_json::Value>, DecodeError> {
    let refused = |reason: String| DecodeError::Version {
        contract: C::contract_name(),
        got: version,
        have: C::VERSION,
        reason,
    };
    if version == C::VERSION {
        return Ok(None);
    }
    if version == 0 {
        return Err(refused("versions start at 1".into()));
    }
    if version > C::VERSION {
        return Err(refused("it is newer than this build; deploy the reader first".into()));
    }
    let mut value = unambiguous::read(payload.as_str())
        .map_err(|error| payload_error::<C>(without_values(&error), "payload.malformed"))?;
    for from in version..C::VERSION {
        value = C::upcast(from, value).map_err(|error| refused(error.to_string()))?;
    }
    Ok(Some(value))
}
