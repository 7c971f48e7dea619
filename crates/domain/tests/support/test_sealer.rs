//! A sealer that is no cipher but keeps the port's contract: bound to its context, different each time, tamper-evident.

use std::sync::atomic::{AtomicU64, Ordering};

use aftercommit_domain::contract::{SealContext, SealError, SealedBytes, Sealer};
use uuid::Uuid;

/// Mixes the clear text with what it is bound to.
pub(crate) struct TestSealer {
    key_id: &'static str,
    sealed: AtomicU64,
}

impl TestSealer {
    pub(crate) fn new(key_id: &'static str) -> Self {
        Self {
            key_id,
            sealed: AtomicU64::new(0),
        }
    }

    /// Proves the context and the bytes: the context's digest is under the clear text's.
    fn tag(clear: &[u8], nonce: &[u8], context: &SealContext) -> Uuid {
        let bound = Uuid::new_v5(&Uuid::NAMESPACE_OID, &context.to_bytes());
        Uuid::new_v5(&bound, &[nonce, clear].concat())
    }

    fn mixed(bytes: &[u8], nonce: &[u8]) -> Vec<u8> {
        let mut block = Uuid::nil();
        let mut mixed = Vec::with_capacity(bytes.len());
        for chunk in bytes.chunks(16) {
            block = Uuid::new_v5(&block, nonce);
            mixed.extend(chunk.iter().zip(block.as_bytes()).map(|(byte, pad)| byte ^ pad));
        }
        mixed
    }
}

impl Sealer for TestSealer {
    fn seal(&self, clear: &[u8], context: &SealContext) -> Result<SealedBytes, SealError> {
        let nonce = self.sealed.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        let tag = Self::tag(clear, &nonce, context);
        Ok(SealedBytes {
            key_id: self.key_id.into(),
            bytes: [nonce.as_slice(), tag.as_bytes(), &Self::mixed(clear, &nonce)].concat(),
        })
    }

    fn open(&self, sealed: &SealedBytes, context: &SealContext) -> Result<Vec<u8>, SealError> {
        if sealed.key_id != self.key_id {
            return Err(SealError::UnknownKey {
                key_id: sealed.key_id.clone(),
            });
        }
        let (nonce, rest) = sealed.bytes.split_at_checked(8).ok_or(SealError::Malformed)?;
        let (tag, mixed) = rest.split_at_checked(16).ok_or(SealError::Malformed)?;
        let clear = Self::mixed(mixed, nonce);
        if Self::tag(&clear, nonce, context).as_bytes() == tag {
            Ok(clear)
        } else {
            Err(SealError::DoesNotOpen)
        }
    }
}
