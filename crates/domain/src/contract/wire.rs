//! How envelopes are read: what both kinds have in common, with the exact answer to each bad input.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use chrono::Datelike;
use serde::de::{DeserializeOwned, Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::contract::{DecodeError, Limits, OrganizationId, ProjectId, Tenant, TraceContext};
use crate::ids::{InvalidId, MessageId};
use crate::time::Timestamp;

/// Reads an envelope's JSON within the envelope limit.
pub(super) fn read<W: DeserializeOwned>(bytes: &[u8], limits: &Limits) -> Result<W, DecodeError> {
    let text = checked_text(bytes, limits)?;
    if text.trim_start().starts_with('[') {
        // It would be read as the fields in their order.
        return Err(DecodeError::Malformed {
            line: 1,
            column: 1,
            reason: "an envelope is an object".into(),
        });
    }
    serde_json::from_str(text).map_err(|error| match duplicate_key(text) {
        Some(key) => DecodeError::DuplicateKey { key },
        None => DecodeError::Malformed {
            line: error.line(),
            column: error.column(),
            reason: without_place(&error),
        },
    })
}

/// What is wrong, without the place, which is told apart.
fn without_place(error: &serde_json::Error) -> String {
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = error.to_string();
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

/// The bytes as text within the envelope limit.
fn checked_text<'a>(bytes: &'a [u8], limits: &Limits) -> Result<&'a str, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    limits.check_envelope(bytes.len())?;
    std::str::from_utf8(bytes).map_err(|error| DecodeError::Encoding {
        offset: error.valid_up_to(),
    })
}

/// The first key that stands twice, if that is what is wrong; looked for only in text that could not be read.
fn duplicate_key(text: &str) -> Option<String> {
    struct FirstDuplicate;

    impl<'de> Visitor<'de> for FirstDuplicate {
        type Value = Option<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let (mut seen, mut duplicate) = (HashSet::new(), None);
            while let Some((key, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                if duplicate.is_none() && !seen.insert(key.clone()) {
                    duplicate = Some(key);
                }
            }
            Ok(duplicate)
        }
    }

    serde_json::Deserializer::from_str(text)
        .deserialize_map(FirstDuplicate)
        .ok()
        .flatten()
}

/// The tenant of an envelope. Never a default: a project without its organization is refused.
pub(super) fn tenant(
    organization: Option<OrganizationId>,
    project: Option<ProjectId>,
    contract: impl FnOnce() -> String,
) -> Result<Tenant, DecodeError> {
    Tenant::from_parts(organization, project).ok_or_else(|| DecodeError::OrganizationMissing { contract: contract() })
}

/// The trace of an envelope. A broken one is dropped: it must not cost the message.
pub(super) fn trace(traceparent: Option<&str>, tracestate: Option<&str>) -> Option<TraceContext> {
    traceparent.and_then(|parent| TraceContext::parse(parent, tracestate).ok())
}

/// A time as an envelope has it: none before our era, which not every store can keep.
pub(super) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let time = Timestamp::deserialize(deserializer)?;
    if time.year() < 0 {
        return Err(D::Error::custom(format_args!("{time} is before the year 0")));
    }
    Ok(time)
}

/// A time that may be missing.
pub(super) fn optional_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    #[derive(Deserialize)]
    struct Time(#[serde(deserialize_with = "time")] Timestamp);
    Ok(Option::<Time>::deserialize(deserializer)?.map(|Time(time)| time))
}

/// An id as an envelope has it: what is wrong with it is told by field, not by line and column.
#[derive(Clone, Copy, Default)]
pub(super) enum WireId {
    #[default]
    Missing,
    Invalid,
    Valid(MessageId),
}

impl WireId {
    /// The id, which must be there.
    pub(super) const fn required(self, field: &'static str) -> Result<MessageId, DecodeError> {
        match self {
            Self::Valid(id) => Ok(id),
            Self::Missing => Err(DecodeError::IdMissing { field }),
            Self::Invalid => Err(DecodeError::IdInvalid {
                field,
                source: InvalidId,
            }),
        }
    }
}

/// The id, if there is one.
pub(super) fn optional(id: Option<WireId>, field: &'static str) -> Result<Option<MessageId>, DecodeError> {
    id.map(|id| id.required(field)).transpose()
}

impl From<MessageId> for WireId {
    fn from(id: MessageId) -> Self {
        Self::Valid(id)
    }
}

impl Serialize for WireId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Valid(id) => id.serialize(serializer),
            Self::Missing | Self::Invalid => {
                Err(serde::ser::Error::custom("an envelope is written with valid ids only"))
            }
        }
    }
}

impl<'de> Deserialize<'de> for WireId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Ok(text.parse().map_or(Self::Invalid, Self::Valid))
    }
}
