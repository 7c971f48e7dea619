//! What makes an effect recognisable when it is tried again.

use std::fmt;

use crate::ids::MessageId;

/// Stable over every attempt and redelivery of one task, so that the other side can recognise a repeated effect.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key of one of several effects of the same task.
    #[must_use]
    pub fn step(&self, name: &str) -> Self {
        Self(format!("{}.{name}", self.0))
    }

    /// The key as text: letters, digits, `-` and `.` as long as steps are named so.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<MessageId> for IdempotencyKey {
    fn from(id: MessageId) -> Self {
        Self(id.to_string())
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
