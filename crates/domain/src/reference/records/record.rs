//! A record.

use crate::reference::Wrong;

/// The longest key, in bytes.
const MAX_KEY: usize = 200;
/// The longest body, in bytes of JSON.
const MAX_BODY: usize = 64 * 1024;

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
    /// Takes JSON from outside; the caller has parsed it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(json: impl Into<String>) -> Result<Self, Wrong> {
        let json = json.into();
        if json.len() > MAX_BODY {
            return Err(Wrong::new("record.body_too_large", "must have at most 64 KiB"));
        }
        Ok(Self(json))
    }

    /// The JSON.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
