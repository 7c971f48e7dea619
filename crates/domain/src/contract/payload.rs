//! What a payload may hold: ids, storage keys and facts of the event; never an entity that can change behind its back.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A type that may be a field of a payload.
///
/// Ids, numbers, booleans, times, [`BoundedText`], [`StorageKey`], [`Sealed`](crate::contract::Sealed), enums and
/// structs with `#[derive(Payload)]`, and `Option`, `Vec` or arrays of those. Entities are not: a payload that carries
/// one shows its handler an old picture. Send the id and let the handler load the entity.
///
/// ```
/// use aftercommit_domain::contract::{BoundedText, Payload, Sealed};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Payload)]
/// enum Channel {
///     Mail { to: Sealed<String> },
///     Webhook { name: BoundedText<100> },
/// }
/// ```
///
/// Text without a bound, or an entity, does not compile:
///
/// ```compile_fail,E0277
/// # use aftercommit_domain::contract::Payload;
/// #[derive(Payload)]
/// enum Channel {
///     Webhook { name: String },
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a payload",
    label = "not an id, a storage key or a fact of the event",
    note = "entities change after the message was written: carry the entity's id and let the handler load it",
    note = "for text use `BoundedText<N>`, for secrets and personal data `Sealed<T>`, for a file's content `StorageKey`",
    note = "an enum or a small struct of such fields may have `#[derive(Payload)]`"
)]
pub trait PayloadField {}

macro_rules! payload_fields {
    ($($type:ty),* $(,)?) => { $(impl PayloadField for $type {})* };
}

payload_fields!(
    bool,
    u8,
    u16,
    u32,
    u64,
    u128,
    i8,
    i16,
    i32,
    i64,
    i128,
    f32,
    f64,
    char,
    uuid::Uuid,
    crate::ids::MessageId,
    crate::time::Timestamp,
    chrono::NaiveDate,
    std::time::Duration,
);

impl<T: PayloadField> PayloadField for Option<T> {}
impl<T: PayloadField> PayloadField for Vec<T> {}
impl<T: PayloadField, const N: usize> PayloadField for [T; N] {}

/// The text is longer than its type allows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the text has {got} bytes, at most {limit} are allowed")]
pub struct TooLong {
    /// Its bytes.
    pub got: usize,
    /// The limit.
    pub limit: usize,
}

/// Text of at most `MAX` bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct BoundedText<const MAX: usize>(String);

impl<const MAX: usize> BoundedText<MAX> {
    /// Takes `text`. `Err` when it has more than `MAX` bytes.
    pub fn new(text: impl Into<String>) -> Result<Self, TooLong> {
        let text = text.into();
        if text.len() > MAX {
            Err(TooLong {
                got: text.len(),
                limit: MAX,
            })
        } else {
            Ok(Self(text))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> PayloadField for BoundedText<MAX> {}

impl<'de, const MAX: usize> Deserialize<'de> for BoundedText<MAX> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl<const MAX: usize> fmt::Display for BoundedText<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MAX: usize> fmt::Debug for BoundedText<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Where some content lies in object storage: at most 512 bytes, opaque to everyone but the storage.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Debug)]
#[serde(transparent)]
pub struct StorageKey(BoundedText<512>);

impl StorageKey {
    /// Takes `text`. `Err` when it has more than 512 bytes.
    pub fn new(text: impl Into<String>) -> Result<Self, TooLong> {
        BoundedText::new(text).map(Self)
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl<'de> Deserialize<'de> for StorageKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BoundedText::deserialize(deserializer).map(Self)
    }
}

impl PayloadField for StorageKey {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_over_its_bound_is_refused_when_made_and_when_read() {
        assert!(BoundedText::<3>::new("abcd").is_err());
        assert!(serde_json::from_str::<BoundedText<3>>("\"abcd\"").is_err());
        assert_eq!(
            serde_json::from_str::<BoundedText<3>>("\"abc\"").unwrap().as_str(),
            "abc"
        );
    }
}
