//! How big things may be: one table, checked at enqueue and again at relay and decode, because a message may be somebody
//! else's.

/// How big things may be. Defaults are in the fields' docs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest payload in bytes. Defaults to 256 KiB.
    pub payload_bytes: usize,
    /// The longest envelope in bytes, payload included. Defaults to 1 MiB.
    pub envelope_bytes: usize,
    /// How deep JSON may nest. Defaults to 64.
    pub json_depth: usize,
    /// How many values a payload may hold. Defaults to 50 000.
    pub json_nodes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            payload_bytes: 256 * 1024,
            envelope_bytes: 1024 * 1024,
            json_depth: 64,
            json_nodes: 50_000,
        }
    }
}

impl Limits {
    /// The limits of a payload that is itself the envelope of an event: the event's own payload keeps the usual ones.
    pub(crate) const fn of_carried_event(&self) -> Self {
        Self {
            payload_bytes: self.envelope_bytes,
            json_depth: self.json_depth + 1,
            // The envelope's own attributes are values too.
            json_nodes: self.json_nodes + 32,
            ..*self
        }
    }

    /// The limits of a payload that carries what a workflow is started with, what it is told, or both: each of them keeps the
    /// usual ones.
    pub const fn of_carried_workflow(&self) -> Self {
        Self {
            payload_bytes: self.envelope_bytes,
            json_depth: self.json_depth + 2,
            // The two, and what stands around them.
            json_nodes: 2 * self.json_nodes + 32,
            ..*self
        }
    }

    /// Refuses an envelope of this many bytes when that is over the limit.
    pub(crate) const fn check_envelope(&self, got: usize) -> Result<(), LimitExceeded> {
        if got > self.envelope_bytes {
            return Err(LimitExceeded::Envelope {
                got,
                limit: self.envelope_bytes,
            });
        }
        Ok(())
    }
}

/// Something is bigger than its limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitExceeded {
    /// The payload is too long.
    #[error("the payload has {got} bytes, at most {limit} are allowed; store the content and send its key")]
    Payload {
        /// Its bytes.
        got: usize,
        /// The limit.
        limit: usize,
    },
    /// The envelope is too long.
    #[error("the envelope has {got} bytes, at most {limit} are allowed")]
    Envelope {
        /// Its bytes.
        got: usize,
        /// The limit.
        limit: usize,
    },
    /// The JSON nests too deep.
    #[error("the JSON nests deeper than {limit} levels")]
    Depth {
        /// The limit.
        limit: usize,
    },
    /// The JSON holds too many values.
    #[error("the JSON holds more than {limit} values")]
    Nodes {
        /// The limit.
        limit: usize,
    },
}

impl LimitExceeded {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Payload { .. } => "payload.too_large",
            Self::Envelope { .. } => "envelope.too_large",
            Self::Depth { .. } => "json.too_deep",
            Self::Nodes { .. } => "json.too_many_values",
        }
    }
}
