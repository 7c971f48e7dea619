//! Secrets and personal data in a payload: sealed before they reach any database, broker, file or log.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::contract::{PayloadField, Tenant};
use crate::ids::MessageId;

/// A value that leaves the process sealed only.
///
/// Its `Debug` shows `‹sealed›`. Serialising it is an error except while the envelope [`Codec`](crate::contract::Codec)
/// encodes a payload, which seals it for one tenant, contract and message; a ciphertext moved to another of any of
/// them does not open.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed<T>(T);

impl<T> Sealed<T> {
    /// Takes a value that will be sealed.
    pub const fn new(clear: T) -> Self {
        Self(clear)
    }

    /// The value in clear: for the one place that acts with it.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The value in clear, taken out.
    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T> PayloadField for Sealed<T> {}

impl<T> fmt::Debug for Sealed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("‹sealed›")
    }
}

impl<T> fmt::Display for Sealed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("‹sealed›")
    }
}

/// Seals and opens with authenticated encryption.
///
/// **Contract**: `open(seal(x, c), c) == x`; `open` fails for any other context, any changed byte and any key it does
/// not have. The same clear text sealed twice differs. Both are quick and block on nothing. Called concurrently.
pub trait Sealer: Send + Sync {
    /// Seals with the current key.
    fn seal(&self, clear: &[u8], context: &SealContext) -> Result<SealedBytes, SealError>;

    /// Opens with the key named in `sealed`.
    fn open(&self, sealed: &SealedBytes, context: &SealContext) -> Result<Vec<u8>, SealError>;
}

/// What a ciphertext is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealContext {
    /// Whose it is.
    pub tenant: Tenant,
    /// The contract that carries it, such as `MagicLinkEmailRequested` or `magic-link-email/send`.
    pub contract: String,
    /// The message that carries it.
    pub message_id: MessageId,
}

impl SealContext {
    /// The context as bytes for associated data: each part with its length before it, so no two contexts are alike.
    pub fn to_bytes(&self) -> Vec<u8> {
        let organization = self.tenant.organization_id().map_or("", |id| id.as_str());
        let project = self.tenant.project_id().map_or("", |id| id.as_str());
        let mut bytes = Vec::with_capacity(128);
        for part in [
            organization.as_bytes(),
            project.as_bytes(),
            self.contract.as_bytes(),
            self.message_id.uuid().as_bytes(),
        ] {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

/// A ciphertext and the id of its key. On the wire: `{"sealed":"<key id>:<base64>"}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedBytes {
    /// Which key opens it.
    pub key_id: String,
    /// Nonce, ciphertext and tag, as the sealer made them.
    pub bytes: Vec<u8>,
}

/// Sealing or opening failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The key named in the ciphertext is not configured.
    #[error("the key `{key_id}` that opens this is not configured")]
    UnknownKey {
        /// The key's id.
        key_id: String,
    },
    /// Wrong key, changed bytes, or moved from another tenant, contract or message.
    #[error("the sealed value does not open: wrong key, changed, or moved from another message")]
    DoesNotOpen,
    /// Not a sealed value.
    #[error("this is not a sealed value")]
    Malformed,
    /// A value was serialised or read outside the envelope codec.
    #[error("a sealed value can be written and read by the envelope codec only")]
    OutsideCodec,
    /// The sealer itself failed.
    #[error("sealing failed: {0}")]
    Sealer(String),
}

impl SealError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownKey { .. } => "crypto.unknown_key",
            Self::DoesNotOpen => "crypto.does_not_open",
            Self::Malformed => "crypto.malformed",
            Self::OutsideCodec => "crypto.outside_codec",
            Self::Sealer(_) => "crypto.sealer",
        }
    }
}

/// What the codec lends to the `Sealed` values it meets while it encodes or decodes one payload.
struct Scope {
    sealer: Arc<dyn Sealer>,
    context: SealContext,
    /// Serde carries texts only, so the typed error waits here.
    error: Option<SealError>,
}

thread_local! {
    static SCOPE: RefCell<Option<Scope>> = const { RefCell::new(None) };
    /// How secrets stand in what is being read.
    static READING: Cell<Reading> = const { Cell::new(Reading::Sealed) };
}

/// How secrets stand in what is being read.
#[derive(Clone, Copy)]
enum Reading {
    /// Sealed: it comes from a store.
    Sealed,
    /// In clear: it is a person's own input.
    Clear,
    /// Either way: a person changed what came from a store.
    Either,
}

/// Runs `work`, which reads a person's own input: secrets stand in it in clear.
pub(crate) fn reading_clear<R>(work: impl FnOnce() -> R) -> R {
    reading(Reading::Clear, work)
}

/// Runs `work`, which reads what a person made of a stored payload: a secret that was left alone is sealed.
pub(crate) fn reading_either<R>(work: impl FnOnce() -> R) -> R {
    reading(Reading::Either, work)
}

fn reading<R>(how: Reading, work: impl FnOnce() -> R) -> R {
    /// Ends it also when `work` panics.
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            READING.set(Reading::Sealed);
        }
    }

    READING.set(how);
    let _end = End;
    work()
}

/// Whether a codec is at work on this thread; for tests.
#[doc(hidden)]
pub fn is_scope_active() -> bool {
    SCOPE.with_borrow(Option::is_some)
}

/// Runs `work` with sealing lent to the values it meets; answers its result and the typed error, if there was one.
pub(crate) fn with_scope<R>(
    sealer: &Arc<dyn Sealer>,
    context: SealContext,
    work: impl FnOnce() -> R,
) -> (R, Option<SealError>) {
    /// Ends the scope also when `work` panics.
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            SCOPE.with_borrow_mut(Option::take);
        }
    }

    SCOPE.with_borrow_mut(|scope| {
        *scope = Some(Scope {
            sealer: Arc::clone(sealer),
            context,
            error: None,
        });
    });
    let end = End;
    let result = work();
    let error = SCOPE.with_borrow_mut(|scope| scope.as_mut().and_then(|scope| scope.error.take()));
    drop(end);
    (result, error)
}

fn in_scope<R>(work: impl FnOnce(&Scope) -> Result<R, SealError>) -> Result<R, SealError> {
    SCOPE.with_borrow_mut(|scope| {
        let scope = scope.as_mut().ok_or(SealError::OutsideCodec)?;
        let result = work(scope);
        if let Err(error) = &result {
            scope.error = Some(error.clone());
        }
        result
    })
}

#[derive(Serialize, Deserialize)]
struct Wire {
    sealed: String,
}

impl<T: Serialize> Serialize for Sealed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let clear = serde_json::to_vec(&self.0).map_err(serde::ser::Error::custom)?;
        let sealed = in_scope(|scope| scope.sealer.seal(&clear, &scope.context)).map_err(serde::ser::Error::custom)?;
        Wire {
            sealed: format!("{}:{}", sealed.key_id, STANDARD_NO_PAD.encode(sealed.bytes)),
        }
        .serialize(serializer)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Sealed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match READING.get() {
            Reading::Sealed => open(&Wire::deserialize(deserializer)?),
            Reading::Clear => T::deserialize(deserializer).map(Self),
            Reading::Either => {
                let value = serde_json::Value::deserialize(deserializer)?;
                if value == SHOWN {
                    return Err(serde::de::Error::custom(
                        "‹sealed› stands for a value; give the value, or the object with the sealed one",
                    ));
                }
                match Wire::deserialize(&value) {
                    Ok(wire) => open(&wire),
                    // The parser's own message could quote the secret.
                    Err(_) => serde_json::from_value(value)
                        .map(Self)
                        .map_err(|_| serde::de::Error::custom("the value of a secret has another type")),
                }
            }
        }
    }
}

/// What is shown in place of a sealed value.
const SHOWN: &str = "‹sealed›";

fn open<T: DeserializeOwned, E: serde::de::Error>(wire: &Wire) -> Result<Sealed<T>, E> {
    let clear = in_scope(|scope| {
        let (key_id, text) = wire.sealed.rsplit_once(':').ok_or(SealError::Malformed)?;
        let bytes = STANDARD_NO_PAD.decode(text).map_err(|_| SealError::Malformed)?;
        scope.sealer.open(
            &SealedBytes {
                key_id: key_id.to_owned(),
                bytes,
            },
            &scope.context,
        )
    })
    .map_err(E::custom)?;
    // The parser's own message could quote the secret.
    serde_json::from_slice(&clear)
        .map(Sealed)
        .map_err(|_| E::custom("the sealed value has another type"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_cannot_be_serialised_outside_the_codec() {
        let error = serde_json::to_string(&Sealed::new("secret")).unwrap_err();
        assert!(!error.to_string().contains("\"secret\""));
        assert!(error.to_string().contains("envelope codec only"));
    }

    #[test]
    fn a_sealed_value_shows_nothing() {
        assert_eq!(
            format!("{:?} {}", Sealed::new("secret"), Sealed::new("secret")),
            "‹sealed› ‹sealed›"
        );
    }

    #[test]
    fn no_two_contexts_have_the_same_associated_data() {
        let id = MessageId::from(uuid::Uuid::from_u128(1));
        let context = |organization: &str, project: &str| SealContext {
            tenant: Tenant::project(
                crate::contract::OrganizationId::new(organization).unwrap(),
                crate::contract::ProjectId::new(project).unwrap(),
            ),
            contract: "X".into(),
            message_id: id,
        };
        assert_ne!(context("ab", "c").to_bytes(), context("a", "bc").to_bytes());
    }
}
