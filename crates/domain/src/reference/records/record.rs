//! A record.

use crate::contract::{InvalidJson, Json, LimitExceeded, Limits, ProjectId};
use crate::reference::{RecordId, Wrong};
use crate::time::Timestamp;

/// The longest key, in bytes.
const MAX_KEY: usize = 200;
/// The longest body, in bytes of JSON.
const MAX_BODY: usize = 64 * 1024;

/// A record as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its id: the same as long as its key is.
    pub id: RecordId,
    /// The project that took it.
    pub project_id: ProjectId,
    /// What it is known by within its project.
    pub key: RecordKey,
    /// What it says.
    pub body: RecordBody,
    /// When it came last.
    pub received_at: Timestamp,
}

/// A record as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// What it is known by within its project; a second one under the same key replaces the first.
    pub key: RecordKey,
    /// What it says.
    pub body: RecordBody,
}

/// A record's key: 1 to 200 bytes without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordKey(String);

impl RecordKey {
    /// Takes text from outside.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: impl Into<String>) -> Result<Self, Wrong> {
        let text = text.into();
        if text.is_empty() || text.len() > MAX_KEY || text.chars().any(char::is_control) {
            return Err(Wrong::new(
                "record.key_invalid",
                "must be 1 to 200 bytes without control characters",
            ));
        }
        Ok(Self(text))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A record's body: JSON of at most 64 KiB, kept as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordBody(String);

impl RecordBody {
    /// Takes JSON from outside.
    ///
    /// # Errors
    /// What is wrong with it: too large, or JSON that not every database can store.
    pub fn new(json: impl Into<String>) -> Result<Self, Wrong> {
        let limits = Limits {
            payload_bytes: MAX_BODY,
            ..Limits::default()
        };
        Json::parse(json, &limits)
            .map(|json| Self(json.as_str().to_owned()))
            .map_err(|invalid| match invalid {
                InvalidJson::Limit(LimitExceeded::Payload { .. } | LimitExceeded::Envelope { .. }) => {
                    Wrong::new("record.body_too_large", "must have at most 64 KiB")
                }
                InvalidJson::Limit(LimitExceeded::Depth { .. } | LimitExceeded::Nodes { .. }) => Wrong::new(
                    "record.body_too_deep",
                    "must nest at most 64 levels and hold at most 50 000 values",
                ),
                InvalidJson::Malformed { .. } | InvalidJson::HalfCharacter { .. } | InvalidJson::Nul { .. } => {
                    Wrong::new(
                        "record.body_invalid",
                        "must be JSON without the character U+0000 and without halves of characters",
                    )
                }
            })
    }

    /// The JSON.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A text that it holds under this name, if it is an object.
    pub fn text_field(&self, name: &str) -> Option<String> {
        let fields: serde_json::Value = serde_json::from_str(&self.0).ok()?;
        fields.get(name)?.as_str().map(str::to_owned)
    }
}
