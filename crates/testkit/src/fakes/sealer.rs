//! A sealer for tests: binds to its context like a real one, and keeps nothing secret.

use std::sync::atomic::{AtomicU64, Ordering};

use aftercommit_domain::contract::{SealContext, SealError, SealedBytes, Sealer};

use crate::fakes::seeded_randomness::mix;

/// Seals so that a clear text cannot be found by looking for it, and opens only in the same context. **Not secure**: the
/// key is in this file, and so is the way back.
#[derive(Debug, Default)]
pub struct TestSealer {
    sealed: AtomicU64,
}

/// The one key it has.
const KEY_ID: &str = "test-not-secure";
const WORD: usize = 8;
/// Its key; not zero, because that would mask nothing.
const KEY: u64 = 0x7465_7374_2d6b_6579;

impl TestSealer {
    /// A sealer with its one, public key.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Sealer for TestSealer {
    fn seal(&self, clear: &[u8], context: &SealContext) -> Result<SealedBytes, SealError> {
        // A number used once, so that the same clear text sealed twice differs.
        let nonce = self.sealed.fetch_add(1, Ordering::Relaxed);
        let mut bytes = nonce.to_le_bytes().to_vec();
        bytes.extend_from_slice(&tag(nonce, clear, context).to_le_bytes());
        bytes.extend(masked(nonce, clear));
        Ok(SealedBytes {
            key_id: KEY_ID.into(),
            bytes,
        })
    }

    fn open(&self, sealed: &SealedBytes, context: &SealContext) -> Result<Vec<u8>, SealError> {
        if sealed.key_id != KEY_ID {
            return Err(SealError::UnknownKey {
                key_id: sealed.key_id.clone(),
            });
        }
        let (nonce, rest) = word(&sealed.bytes).ok_or(SealError::DoesNotOpen)?;
        let (expected, body) = word(rest).ok_or(SealError::DoesNotOpen)?;
        let clear: Vec<u8> = masked(nonce, body).collect();
        if tag(nonce, &clear, context) == expected {
            Ok(clear)
        } else {
            Err(SealError::DoesNotOpen)
        }
    }
}

fn word(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (word, rest) = bytes.split_first_chunk::<WORD>()?;
    Some((u64::from_le_bytes(*word), rest))
}

fn masked(nonce: u64, bytes: &[u8]) -> impl Iterator<Item = u8> {
    let mask = (0_u64..).flat_map(move |block| mix(mix(KEY ^ nonce).wrapping_add(block)).to_le_bytes());
    bytes.iter().zip(mask).map(|(byte, mask)| byte ^ mask)
}

/// FNV-1a over context and clear text: any changed byte changes it.
fn tag(nonce: u64, clear: &[u8], context: &SealContext) -> u64 {
    let context = context.to_bytes();
    let parts = nonce
        .to_le_bytes()
        .into_iter()
        .chain(context)
        .chain(clear.iter().copied());
    parts.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::contract::Tenant;
    use aftercommit_domain::ids::MessageId;
    use uuid::Uuid;

    use super::*;

    fn context(organization: i64, message: u128) -> SealContext {
        SealContext {
            tenant: Tenant::project(organization, 1_i64),
            contract: "letters/send".into(),
            message_id: MessageId::from(Uuid::from_u128(message)),
        }
    }

    #[test]
    fn what_was_sealed_opens_in_its_own_context_only() {
        let sealer = TestSealer::new();
        let secret = sealer.seal(b"a secret link", &context(1, 1)).unwrap();
        assert_eq!(sealer.open(&secret, &context(1, 1)).unwrap(), b"a secret link");
        assert_eq!(sealer.open(&secret, &context(2, 1)), Err(SealError::DoesNotOpen));
        assert_eq!(sealer.open(&secret, &context(1, 2)), Err(SealError::DoesNotOpen));
        assert!(!secret.bytes.windows(6).any(|part| part == b"secret"));
    }

    #[test]
    fn a_changed_byte_or_another_key_does_not_open() {
        let sealer = TestSealer::new();
        let secret = sealer.seal(b"x", &context(1, 1)).unwrap();
        for at in 0..secret.bytes.len() {
            let mut changed = secret.clone();
            changed.bytes[at] ^= 1;
            assert_eq!(
                sealer.open(&changed, &context(1, 1)),
                Err(SealError::DoesNotOpen),
                "byte {at}"
            );
        }
        let other = SealedBytes {
            key_id: "other".into(),
            ..secret.clone()
        };
        assert!(matches!(
            sealer.open(&other, &context(1, 1)),
            Err(SealError::UnknownKey { .. })
        ));
        assert_ne!(sealer.seal(b"x", &context(1, 1)).unwrap(), secret);
    }
}
