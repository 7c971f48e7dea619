//! A request that carried an `Idempotency-Key`.

use crate::contract::OrganizationId;
use crate::reference::{Digest, InvalidInput};

/// The longest key, in bytes.
const MAX_KEY: usize = 200;

/// A request that carried an `Idempotency-Key`, which is scoped by its organization and route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotentRequest {
    /// Who asked; `None` on a route that is open, where the key stands for itself.
    pub organization_id: Option<OrganizationId>,
    /// What was asked for, such as `POST /v1/projects`.
    pub route: String,
    /// The client's key.
    pub key: String,
    /// The digest of the whole request; another request under the same key is refused.
    pub fingerprint: Digest,
}

impl IdempotentRequest {
    /// Takes a key from outside.
    ///
    /// # Errors
    /// When the key is empty, longer than 200 bytes, or not printable ASCII.
    pub fn new(
        organization_id: Option<OrganizationId>,
        route: impl Into<String>,
        key: &str,
        fingerprint: Digest,
    ) -> Result<Self, InvalidInput> {
        if key.is_empty() || key.len() > MAX_KEY || !key.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
            return Err(InvalidInput::of(
                "Idempotency-Key",
                "invalid_key",
                "must be 1 to 200 printable ASCII characters",
            ));
        }
        Ok(Self {
            organization_id,
            route: route.into(),
            key: key.to_owned(),
            fingerprint,
        })
    }
}

/// What is kept of an answer: sealed, because an answer may show a secret that is shown once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// Which key opens it.
    pub key_id: String,
    /// The ciphertext.
    pub bytes: Vec<u8>,
}
