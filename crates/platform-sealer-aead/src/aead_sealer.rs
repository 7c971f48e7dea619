//! Sealing and opening with XChaCha20-Poly1305.

use std::fmt;
use std::sync::Arc;

use aftercommit_domain::contract::{SealContext, SealError, SealedBytes, Sealer};
use aftercommit_domain::randomness::Randomness;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};

use crate::sealing_keys::{SealingKey, SealingKeys};

/// The first byte of every sealed value: a later format is told apart by it.
const FORMAT: u8 = 1;
const NONCE_LENGTH: usize = 24;
const TAG_LENGTH: usize = 16;

/// Seals with the first of its keys and opens with any of them.
///
/// A sealed value is one format byte, a random nonce of 24 bytes, and the ciphertext with its tag of 16 bytes. The
/// associated data binds it to the format, the key id and the [`SealContext`]. With nonces this long, one key may seal
/// more values than any deployment ever will, so no counter has to be kept between processes.
pub struct AeadSealer {
    keys: SealingKeys,
    randomness: Arc<dyn Randomness>,
}

impl AeadSealer {
    /// A sealer that takes its nonces from `randomness`, which must be unpredictable in production.
    pub fn new(keys: SealingKeys, randomness: Arc<dyn Randomness>) -> Self {
        Self { keys, randomness }
    }
}

impl Sealer for AeadSealer {
    fn seal(&self, clear: &[u8], context: &SealContext) -> Result<SealedBytes, SealError> {
        let key = self.keys.first();
        let mut nonce = [0; NONCE_LENGTH];
        self.randomness.fill(&mut nonce);
        let ciphertext = cipher(key)
            .encrypt(
                &XNonce::from(nonce),
                Payload {
                    msg: clear,
                    aad: &associated_data(&key.id, context),
                },
            )
            .map_err(|_| SealError::Sealer("the value is too long to encrypt".to_owned()))?;
        let mut bytes = Vec::with_capacity(1 + NONCE_LENGTH + ciphertext.len());
        bytes.push(FORMAT);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&ciphertext);
        Ok(SealedBytes {
            key_id: key.id.clone(),
            bytes,
        })
    }

    fn open(&self, sealed: &SealedBytes, context: &SealContext) -> Result<Vec<u8>, SealError> {
        let key = self.keys.find(&sealed.key_id).ok_or_else(|| SealError::UnknownKey {
            key_id: sealed.key_id.clone(),
        })?;
        let (&format, rest) = sealed.bytes.split_first().ok_or(SealError::Malformed)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LENGTH>().ok_or(SealError::Malformed)?;
        if format != FORMAT || ciphertext.len() < TAG_LENGTH {
            return Err(SealError::Malformed);
        }
        cipher(key)
            .decrypt(
                &XNonce::from(*nonce),
                Payload {
                    msg: ciphertext,
                    aad: &associated_data(&key.id, context),
                },
            )
            .map_err(|_| SealError::DoesNotOpen)
    }
}

impl fmt::Debug for AeadSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AeadSealer")
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

/// Made for each call: it holds a copy of the key, which it wipes when dropped.
fn cipher(key: &SealingKey) -> XChaCha20Poly1305 {
    let key: &Key = (&**key.bytes).into();
    XChaCha20Poly1305::new(key)
}

/// The length before the key id keeps id and context apart.
fn associated_data(key_id: &str, context: &SealContext) -> Vec<u8> {
    let context = context.to_bytes();
    let mut bytes = Vec::with_capacity(1 + 8 + key_id.len() + context.len());
    bytes.push(FORMAT);
    bytes.extend_from_slice(&(key_id.len() as u64).to_le_bytes());
    bytes.extend_from_slice(key_id.as_bytes());
    bytes.extend_from_slice(&context);
    bytes
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::contract::{OrganizationId, ProjectId, Tenant};
    use aftercommit_domain::ids::MessageId;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::test_randomness::CountingRandomness;

    const OLD: &str = "old:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    const NEW: &str = "new:__79_Pv6-fj39vX08_Lx8O_u7ezr6uno5-bl5OPi4eA";

    fn sealer(keys: &str) -> AeadSealer {
        AeadSealer::new(
            SealingKeys::parse(keys).unwrap(),
            Arc::new(CountingRandomness::default()),
        )
    }

    fn context(organization: &str, project: &str, contract: &str, message: u128) -> SealContext {
        SealContext {
            tenant: Tenant::project(
                OrganizationId::new(organization).unwrap(),
                ProjectId::new(project).unwrap(),
            ),
            contract: contract.to_owned(),
            message_id: MessageId::from(Uuid::from_u128(message)),
        }
    }

    fn here() -> SealContext {
        context("acme", "web", "magic-link-email/send", 1)
    }

    #[test]
    fn what_was_sealed_opens_in_the_same_context() {
        let aead = sealer(OLD);
        let sealed = aead.seal(b"https://example.com/l/1", &here()).unwrap();
        assert_eq!(sealed.key_id, "old");
        assert_eq!(aead.open(&sealed, &here()).unwrap(), b"https://example.com/l/1");
    }

    #[test]
    fn a_sealed_value_opens_for_no_other_tenant_contract_or_message() {
        let aead = sealer(OLD);
        let sealed = aead.seal(b"secret", &here()).unwrap();
        let contract = "magic-link-email/send";
        for other in [
            context("other", "web", contract, 1),
            context("acme", "other", contract, 1),
            context("acme", "web", "invitation-email/send", 1),
            context("acme", "web", contract, 2),
            SealContext {
                tenant: Tenant::organization(OrganizationId::new("acme").unwrap()),
                ..here()
            },
        ] {
            assert_eq!(aead.open(&sealed, &other), Err(SealError::DoesNotOpen), "{other:?}");
        }
    }

    #[test]
    fn no_changed_byte_goes_unnoticed() {
        let aead = sealer(OLD);
        let sealed = aead.seal(b"secret", &here()).unwrap();
        for index in 0..sealed.bytes.len() {
            for bit in 0..8 {
                let mut changed = sealed.clone();
                changed.bytes[index] ^= 1 << bit;
                let expected = if index == 0 {
                    SealError::Malformed
                } else {
                    SealError::DoesNotOpen
                };
                assert_eq!(aead.open(&changed, &here()), Err(expected), "byte {index}, bit {bit}");
            }
        }
    }

    #[test]
    fn a_shortened_or_lengthened_value_does_not_open() {
        let aead = sealer(OLD);
        let sealed = aead.seal(b"secret", &here()).unwrap();
        for length in 0..sealed.bytes.len() {
            let mut short = sealed.clone();
            short.bytes.truncate(length);
            assert!(aead.open(&short, &here()).is_err(), "{length} bytes");
        }
        let mut long = sealed;
        long.bytes.push(0);
        assert_eq!(aead.open(&long, &here()), Err(SealError::DoesNotOpen));
    }

    #[test]
    fn after_a_rotation_the_new_key_seals_and_the_old_one_still_opens() {
        let before = sealer(OLD);
        let after = sealer(&format!("{NEW},{OLD}"));
        let old = before.seal(b"secret", &here()).unwrap();
        assert_eq!(after.open(&old, &here()).unwrap(), b"secret");
        let new = after.seal(b"secret", &here()).unwrap();
        assert_eq!(new.key_id, "new");
        assert_eq!(
            before.open(&new, &here()),
            Err(SealError::UnknownKey { key_id: "new".into() })
        );
    }

    #[test]
    fn a_value_relabelled_with_another_key_id_does_not_open() {
        // GIVEN two ids for the same key bytes
        let bytes = OLD.strip_prefix("old:").unwrap();
        let aead = sealer(&format!("a:{bytes},b:{bytes}"));
        let mut sealed = aead.seal(b"secret", &here()).unwrap();
        sealed.key_id = "b".to_owned();
        assert_eq!(aead.open(&sealed, &here()), Err(SealError::DoesNotOpen));
    }

    #[test]
    fn a_value_sealed_with_another_key_of_the_same_id_does_not_open() {
        let bytes = NEW.strip_prefix("new:").unwrap();
        let sealed = sealer(OLD).seal(b"secret", &here()).unwrap();
        assert_eq!(
            sealer(&format!("old:{bytes}")).open(&sealed, &here()),
            Err(SealError::DoesNotOpen)
        );
    }

    #[test]
    fn the_same_value_sealed_twice_differs() {
        let aead = sealer(OLD);
        assert_ne!(
            aead.seal(b"secret", &here()).unwrap().bytes,
            aead.seal(b"secret", &here()).unwrap().bytes
        );
    }

    #[test]
    fn a_value_released_once_opens_for_ever() {
        // Bytes of the first release: if this fails, the format changed without a new format byte.
        let sealed = SealedBytes {
            key_id: "old".into(),
            bytes: include_bytes!("../tests/fixtures/format-1.bin").to_vec(),
        };
        assert_eq!(sealer(OLD).open(&sealed, &here()).unwrap(), b"format 1");
    }

    #[test]
    fn debug_shows_key_ids_and_no_key() {
        let shown = format!("{:?}", sealer(OLD));
        assert!(shown.contains("\"old\""), "{shown}");
        assert!(!shown.contains("AAEC") && !shown.contains("1, 2, 3"), "{shown}");
    }

    proptest! {
        #[test]
        fn any_value_opens_to_itself_and_only_where_it_was_sealed(
            clear in proptest::collection::vec(any::<u8>(), 0..2_000),
            organizations in ("[a-z]{1,8}", "[a-z]{1,8}"),
            messages in (1_u128.., 1_u128..),
        ) {
            let aead = sealer(&format!("{NEW},{OLD}"));
            let here = context(&organizations.0, "p", "X", messages.0);
            let there = context(&organizations.1, "p", "X", messages.1);
            let sealed = aead.seal(&clear, &here).unwrap();
            prop_assert_eq!(aead.open(&sealed, &here).unwrap(), clear);
            prop_assert_eq!(aead.open(&sealed, &there).is_ok(), here == there);
        }

        #[test]
        fn bytes_from_outside_never_open_and_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let sealed = SealedBytes { key_id: "old".into(), bytes };
            prop_assert!(sealer(OLD).open(&sealed, &here()).is_err());
        }
    }
}
