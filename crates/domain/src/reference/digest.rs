//! SHA-256 digests: what is kept of a secret, and what two request bodies are compared by.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// A SHA-256 digest.
///
/// Enough for secrets of the length [`Secret`](crate::reference::Secret) has: nobody tries 2²⁵⁶ of them, so no slow
/// hash is needed, and looking one up by its digest tells nothing by its timing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(Sha256::digest(bytes.as_ref()).into())
    }

    /// A digest as a store kept it. `None` unless it has 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Its 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Digest {
    /// A digest of something guessable would tell it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("‹digest›")
    }
}
