//! Why a message exists: what it belongs to, what caused it, and the trace it is part of.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::contract::InvalidName;
use crate::contract::names::MAX_KEY;
use crate::ids::MessageId;
use crate::randomness::Randomness;

/// Why a message exists. Travels from the request through every event and task to the last side effect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cause {
    /// What the whole tree belongs to; the root message's id when nothing was given.
    pub correlation: Option<CorrelationId>,
    /// The message that directly caused this one.
    pub causation: Option<MessageId>,
    /// The W3C trace context.
    pub trace: Option<TraceContext>,
}

impl Cause {
    /// A cause with nothing before it.
    pub const fn root() -> Self {
        Self {
            correlation: None,
            causation: None,
            trace: None,
        }
    }

    /// The same for the root of a tree, which names it, and its trace.
    #[must_use]
    pub(crate) fn rooted_at(mut self, id: MessageId) -> Self {
        self.correlation.get_or_insert_with(|| id.into());
        self.trace.get_or_insert_with(|| TraceContext::of_message(id));
        self
    }

    /// What a message with this id and this cause passes on to the messages it causes.
    #[must_use]
    pub fn of_message(&self, id: MessageId) -> Self {
        Self {
            correlation: Some(self.correlation.clone().unwrap_or_else(|| CorrelationId::from(id))),
            causation: Some(id),
            // One trace for everything a message without any leads to.
            trace: Some(self.trace.clone().unwrap_or_else(|| TraceContext::of_message(id))),
        }
    }
}

/// What a tree of messages belongs to, such as a request's id: 1 to 200 bytes without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct CorrelationId(Arc<str>);

impl CorrelationId {
    /// Takes text from outside.
    pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidName> {
        let text = text.as_ref();
        if text.is_empty() || text.len() > MAX_KEY || text.chars().any(char::is_control) {
            return Err(InvalidName {
                kind: "a correlation id",
                expected: "1 to 200 bytes without control characters",
            });
        }
        Ok(Self(text.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<MessageId> for CorrelationId {
    fn from(id: MessageId) -> Self {
        Self(id.to_string().into())
    }
}

impl<'de> Deserialize<'de> for CorrelationId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A W3C trace context: `traceparent`, and `tracestate` when there was one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    parent: Arc<str>,
    state: Option<Arc<str>>,
}

/// The text is no `traceparent` of the W3C recommendation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a traceparent looks like 00-<32 hex digits>-<16 hex digits>-<2 hex digits>")]
pub struct InvalidTrace;

impl TraceContext {
    /// Takes the two header values. `Err` when `traceparent` does not follow the W3C recommendation, version 00;
    /// a `tracestate` over 512 bytes or with control characters is left out, as the recommendation says.
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Result<Self, InvalidTrace> {
        let mut parts = traceparent.split('-');
        let mut hex = |length: usize| {
            let part = parts.next().ok_or(InvalidTrace)?;
            let is_hex = part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            if part.len() == length && is_hex {
                Ok(part)
            } else {
                Err(InvalidTrace)
            }
        };
        let (version, trace, span, _flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
        let all_zero = |part: &str| part.bytes().all(|b| b == b'0');
        if version != "00" || all_zero(trace) || all_zero(span) || parts.next().is_some() {
            return Err(InvalidTrace);
        }
        let state = tracestate.filter(|s| !s.is_empty() && s.len() <= 512 && !s.chars().any(char::is_control));
        Ok(Self {
            parent: traceparent.into(),
            state: state.map(Arc::from),
        })
    }

    /// The root of a new, sampled trace.
    pub fn start(randomness: &dyn Randomness) -> Self {
        let mut bytes = [0_u8; 24];
        randomness.fill(&mut bytes);
        let mut hex = String::with_capacity(48);
        for byte in bytes {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
        }
        let (trace, span) = hex.split_at(32);
        // An all-zero id means "no trace"; the chance of drawing one is nil, but the form must stay valid.
        let span = if span.bytes().all(|b| b == b'0') {
            "0000000000000001"
        } else {
            span
        };
        Self {
            parent: format!("00-{trace}-{span}-01").into(),
            state: None,
        }
    }

    /// The trace that begins with a message: named by its id, so that whoever sees it again names the same one.
    pub fn of_message(id: MessageId) -> Self {
        let trace = id.uuid().simple().to_string();
        let span = trace
            .get(16..)
            .filter(|span| span.bytes().any(|b| b != b'0'))
            .unwrap_or("0000000000000001");
        Self {
            parent: format!("00-{trace}-{span}-01").into(),
            state: None,
        }
    }

    /// The `traceparent` header.
    pub fn traceparent(&self) -> &str {
        &self.parent
    }

    /// The `tracestate` header.
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The 32 hex digits that name the whole trace.
    pub fn trace_id(&self) -> &str {
        self.parent.get(3..35).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_w3c_form_of_a_traceparent_is_taken() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(
            TraceContext::parse(good, None).unwrap().trace_id(),
            "4bf92f3577b34da6a3ce929d0e0e4736"
        );
        for bad in [
            "",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        ] {
            assert_eq!(TraceContext::parse(bad, None), Err(InvalidTrace), "{bad}");
        }
    }

    #[test]
    fn the_first_message_of_a_tree_names_it() {
        let id = MessageId::from(uuid::Uuid::from_u128(5));
        let cause = Cause::root().of_message(id);
        assert_eq!(cause.correlation, Some(CorrelationId::from(id)));
        let next = MessageId::from(uuid::Uuid::from_u128(6));
        let after = cause.of_message(next);
        assert_eq!((after.correlation, after.causation), (cause.correlation, Some(next)));
    }

    #[test]
    fn a_message_without_a_trace_begins_one_that_all_that_follows_is_part_of() {
        let id = MessageId::from(uuid::Uuid::from_u128(5));
        let cause = Cause::root().of_message(id);
        let trace = cause.trace.clone().unwrap();
        assert_eq!(trace, TraceContext::of_message(id));
        assert_eq!(TraceContext::parse(trace.traceparent(), None).as_ref(), Ok(&trace));
        let next = MessageId::from(uuid::Uuid::from_u128(6 << 64));
        assert_eq!(cause.of_message(next).trace, Some(trace));
        assert!(TraceContext::parse(TraceContext::of_message(next).traceparent(), None).is_ok());
    }
}
