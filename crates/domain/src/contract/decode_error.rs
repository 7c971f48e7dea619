//! Why bytes from a store or a broker are no message of this catalogue.

use crate::contract::{LimitExceeded, SealError, Tenant};
use crate::failure::{Classified, ErrorClass};
use crate::ids::InvalidId;
use crate::tasks::InvalidCoalescing;

/// Bytes from a store or a broker are no message of this catalogue. What they were is kept as a dead letter.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// No bytes at all.
    #[error("the body is empty")]
    Empty,
    /// Not JSON, by its sender's own word.
    #[error("the body is {said:?}, and only JSON that is not encoded is read")]
    Content {
        /// What its sender said.
        said: String,
    },
    /// Not UTF-8.
    #[error("the body is not UTF-8, first at byte {offset}")]
    Encoding {
        /// The byte.
        offset: usize,
    },
    /// Not a JSON envelope.
    #[error("the envelope is malformed at line {line}, column {column}: {reason}")]
    Malformed {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What was wrong there.
        reason: String,
    },
    /// A key of the envelope stands twice, so readers would disagree about what it says.
    #[error("the envelope has the key `{key}` twice")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// An id of the envelope is missing.
    #[error("the envelope has no `{field}`")]
    IdMissing {
        /// The field.
        field: &'static str,
    },
    /// An id of the envelope is no canonical UUID.
    #[error("`{field}` of the envelope: {source}")]
    IdInvalid {
        /// The field.
        field: &'static str,
        /// What it must be.
        source: InvalidId,
    },
    /// A limit.
    #[error(transparent)]
    Limit(#[from] LimitExceeded),
    /// The payload is not what the contract says.
    #[error("the payload of {contract} is malformed: {reason}")]
    Payload {
        /// The contract.
        contract: String,
        /// What was wrong.
        reason: String,
        /// The stable code.
        code: &'static str,
    },
    /// No such contract here.
    #[error("nothing here knows {contract}")]
    Unknown {
        /// The contract.
        contract: String,
    },
    /// A version this build cannot read.
    #[error("{contract} version {got} cannot be read, this build knows version {have}: {reason}")]
    Version {
        /// The contract.
        contract: String,
        /// The version in the envelope.
        got: u16,
        /// The newest version here.
        have: u16,
        /// Why.
        reason: String,
    },
    /// The envelope has a project id without its organization's.
    #[error("{contract}: the envelope has a project id but no organization id")]
    OrganizationMissing {
        /// The contract.
        contract: String,
    },
    /// The envelope has other tenant ids than the contract needs.
    #[error("{contract} needs {need} but the envelope has {got}")]
    TenantMissing {
        /// The contract.
        contract: String,
        /// What it needs.
        need: &'static str,
        /// What there is.
        got: Tenant,
    },
    /// Envelope and payload name different tenants.
    #[error("{contract}: the envelope says {envelope}, the payload says {payload}")]
    TenantMismatch {
        /// The contract.
        contract: String,
        /// The envelope's tenant.
        envelope: Tenant,
        /// The payload's tenant.
        payload: Tenant,
    },
    /// It is to be coalesced in a way that cannot be meant.
    #[error("{contract}: {source}")]
    Coalescing {
        /// The contract.
        contract: String,
        /// The reason.
        source: InvalidCoalescing,
    },
    /// A sealed value did not open.
    #[error("{contract}: {source}")]
    Seal {
        /// The contract.
        contract: String,
        /// The reason.
        source: SealError,
    },
}

impl DecodeError {
    /// Whether a newer build may read it: another process of a rolling deploy, perhaps.
    pub fn is_of_a_newer_build(&self) -> bool {
        matches!(self, Self::Unknown { .. }) || matches!(self, Self::Version { got, have, .. } if got > have)
    }
}

impl Classified for DecodeError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Empty
            | Self::Content { .. }
            | Self::Encoding { .. }
            | Self::Malformed { .. }
            | Self::DuplicateKey { .. }
            | Self::IdMissing { .. }
            | Self::IdInvalid { .. }
            | Self::Limit(_)
            | Self::Payload { .. }
            | Self::Unknown { .. }
            | Self::Version { .. }
            | Self::OrganizationMissing { .. }
            | Self::TenantMissing { .. }
            | Self::TenantMismatch { .. }
            | Self::Coalescing { .. }
            | Self::Seal { .. } => ErrorClass::Permanent,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Empty => "envelope.empty",
            Self::Content { .. } => "envelope.content_type",
            Self::Encoding { .. } => "envelope.encoding",
            Self::Malformed { .. } => "envelope.malformed",
            Self::DuplicateKey { .. } => "json.duplicate_key",
            Self::IdMissing { .. } => "id.missing",
            Self::IdInvalid { .. } => "id.invalid",
            Self::Limit(limit) => limit.code(),
            Self::Payload { code, .. } => code,
            Self::Unknown { .. } => "handler.unknown",
            Self::Version { .. } => "version.unsupported",
            Self::OrganizationMissing { .. } | Self::TenantMissing { .. } => "tenant.missing",
            Self::TenantMismatch { .. } => "tenant.mismatch",
            Self::Coalescing { source, .. } => source.code(),
            Self::Seal { source, .. } => source.code(),
        }
    }
}
