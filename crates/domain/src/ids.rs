//! Identifiers of messages, and where new ones come from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Makes new identifiers.
///
/// **Contract**: every call answers a UUIDv7 no other call on any process ever answers. Their order is for locality in
/// an index only; nothing may rely on it.
pub trait Ids: Send + Sync {
    /// A new UUIDv7.
    fn next(&self) -> Uuid;
}

/// The identity of an event or a task from its writer to its last consumer.
///
/// Written as a canonical lower-case UUID; any other form is refused, so one id has one spelling.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct MessageId(Uuid);

/// The text is not a canonical, non-nil, lower-case UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id is a lower-case UUID such as 0192f0c1-7a3b-7c4d-8e5f-0123456789ab")]
pub struct InvalidId;

impl MessageId {
    /// Takes a new id from `ids`.
    pub fn new(ids: &dyn Ids) -> Self {
        Self(ids.next())
    }

    /// The id another message derives from this one: the same inputs give the same id, on every process and at every
    /// redelivery, so that downstream sees one message.
    #[must_use]
    pub fn derive(&self, what: &str) -> Self {
        Self(Uuid::new_v5(&self.0, what.as_bytes()))
    }

    /// The id as a UUID.
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for MessageId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl FromStr for MessageId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let uuid = Uuid::try_parse(text).map_err(|_| InvalidId)?;
        let mut buffer = Uuid::encode_buffer();
        if uuid.is_nil() || uuid.hyphenated().encode_lower(&mut buffer) != text {
            return Err(InvalidId);
        }
        Ok(Self(uuid))
    }
}

impl<'de> Deserialize<'de> for MessageId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let canonical = "0192f0c1-7a3b-7c4d-8e5f-0123456789ab";
        assert_eq!(canonical.parse::<MessageId>().unwrap().to_string(), canonical);
        for other in [
            "0192F0C1-7A3B-7C4D-8E5F-0123456789AB",
            "{0192f0c1-7a3b-7c4d-8e5f-0123456789ab}",
            "0192f0c17a3b7c4d8e5f0123456789ab",
            "urn:uuid:0192f0c1-7a3b-7c4d-8e5f-0123456789ab",
            "00000000-0000-0000-0000-000000000000",
            "",
        ] {
            assert_eq!(other.parse::<MessageId>(), Err(InvalidId), "{other}");
        }
    }

    #[test]
    fn a_derived_id_is_the_same_every_time_and_differs_by_what_it_is_for() {
        let id = MessageId::from(Uuid::from_u128(7));
        assert_eq!(id.derive("a"), id.derive("a"));
        assert_ne!(id.derive("a"), id.derive("b"));
    }
}
