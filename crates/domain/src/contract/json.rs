//! JSON as it was written: kept as text, so that no number or key changes on its way.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::contract::{LimitExceeded, Limits};

/// A JSON document, kept as the text it came as.
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

/// The text is no JSON the rail carries.
#[derive(Debug, thiserror::Error)]
pub enum InvalidJson {
    /// Not JSON.
    #[error("malformed JSON at line {line}, column {column}")]
    Malformed {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// A NUL character, which PostgreSQL cannot store in `jsonb`.
    #[error("the JSON holds the character U+0000 at byte {offset}")]
    Nul {
        /// The byte.
        offset: usize,
    },
    /// One half of a character outside the basic plane (`\ud83d`), which no database and no strict reader takes.
    #[error("the JSON holds half a character at byte {offset}")]
    HalfCharacter {
        /// The byte.
        offset: usize,
    },
    /// Too big, too deep or too many values.
    #[error(transparent)]
    Limit(#[from] LimitExceeded),
}

impl InvalidJson {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } | Self::HalfCharacter { .. } => "payload.malformed",
            Self::Nul { .. } => "payload.nul",
            Self::Limit(limit) => limit.code(),
        }
    }
}

impl From<serde_json::Error> for InvalidJson {
    fn from(error: serde_json::Error) -> Self {
        Self::Malformed {
            line: error.line(),
            column: error.column(),
        }
    }
}

impl Json {
    /// `{}`.
    pub fn empty() -> Self {
        Self(RawValue::from_string("{}".into()).unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }

    /// Checks `text` against `limits` and keeps it as it is.
    pub fn parse(text: impl Into<String>, limits: &Limits) -> Result<Self, InvalidJson> {
        let text = text.into();
        check_shape(text.as_bytes(), limits)?;
        Ok(Self(RawValue::from_string(text)?))
    }

    /// Checks what came as part of an envelope.
    pub(crate) fn check(&self, limits: &Limits) -> Result<(), InvalidJson> {
        check_shape(self.as_str().as_bytes(), limits)
    }

    /// Refuses what is over `limits`. What else is wrong with it is for its reader to say.
    pub(crate) fn check_limits(&self, limits: &Limits) -> Result<(), LimitExceeded> {
        match self.check(limits) {
            Err(InvalidJson::Limit(limit)) => Err(limit),
            Ok(())
            | Err(InvalidJson::Malformed { .. } | InvalidJson::HalfCharacter { .. } | InvalidJson::Nul { .. }) => {
                Ok(())
            }
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Reads it as a value of a type.
    pub fn to<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Self)
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Json {}

impl fmt::Debug for Json {
    /// Payloads do not belong in logs: only the size is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({} bytes)", self.as_str().len())
    }
}

/// One pass over the text before anything parses it: size, depth, number of values, escaped NULs.
fn check_shape(text: &[u8], limits: &Limits) -> Result<(), InvalidJson> {
    if text.len() > limits.payload_bytes {
        return Err(LimitExceeded::Payload {
            got: text.len(),
            limit: limits.payload_bytes,
        }
        .into());
    }
    let (mut depth, mut nodes) = (0_usize, 1_usize);
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => at = end_of_string(text, at)?,
            b'{' | b'[' => {
                depth += 1;
                nodes += 1;
                if depth > limits.json_depth {
                    return Err(LimitExceeded::Depth {
                        limit: limits.json_depth,
                    }
                    .into());
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => nodes += 1,
            0 => return Err(InvalidJson::Nul { offset: at }),
            _ => {}
        }
        if nodes > limits.json_nodes {
            return Err(LimitExceeded::Nodes {
                limit: limits.json_nodes,
            }
            .into());
        }
        at += 1;
    }
    Ok(())
}

/// The position of the closing quote; an unclosed string ends at the last byte, which the parser then refuses.
fn end_of_string(text: &[u8], start: usize) -> Result<usize, InvalidJson> {
    let mut at = start + 1;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => return Ok(at),
            b'\\' => match escaped_unit(text, at) {
                Some(0) => return Err(InvalidJson::Nul { offset: at }),
                Some(0xd800..=0xdbff) if matches!(escaped_unit(text, at + 6), Some(0xdc00..=0xdfff)) => at += 12,
                Some(0xd800..=0xdfff) => return Err(InvalidJson::HalfCharacter { offset: at }),
                Some(_) | None => at += 2,
            },
            _ => at += 1,
        }
    }
    Ok(text.len())
}

/// The UTF-16 unit of `\uXXXX` at this position, if that is what stands there.
fn escaped_unit(text: &[u8], at: usize) -> Option<u16> {
    let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
    // A sign would be read as one.
    let digits = std::str::from_utf8(digits)
        .ok()
        .filter(|digits| !digits.starts_with('+'))?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> &'static str {
        Json::parse(text, &Limits::default()).map_or_else(|error| error.code(), |_| "ok")
    }

    #[test]
    fn text_over_a_limit_is_refused_before_it_is_parsed() {
        assert_eq!(code(&"[".repeat(100_000)), "json.too_deep");
        assert_eq!(code(&format!("{}1{}", "[".repeat(64), "]".repeat(64))), "ok");
        assert_eq!(code(&format!("{}1{}", "[".repeat(65), "]".repeat(65))), "json.too_deep");
        assert_eq!(code(&format!("[{}1]", "1,".repeat(60_000))), "json.too_many_values");
        assert_eq!(code(&format!("\"{}\"", "x".repeat(256 * 1024))), "payload.too_large");
    }

    #[test]
    fn what_a_database_cannot_store_is_refused() {
        assert_eq!(code(r#"{"a":"\u0000"}"#), "payload.nul");
        assert_eq!(code(r#"{"a":"\\u0000"}"#), "ok");
        for half in [
            r"\ud83d",
            r"\ude42",
            r"\ud83d\u0041",
            r"\ud83dx",
            r"\ude42\ud83d",
            r"\uD83D\\ude42",
        ] {
            assert_eq!(code(&format!("{{\"a\":\"{half}\"}}")), "payload.malformed", "{half}");
        }
        assert_eq!(code(r#"{"\ud83d\ude42":"\uD83D\uDE42\\ud83d"}"#), "ok");
        for malformed in ["", "{", "nan", "NaN", "{}{}", "\u{feff}{}", r#"{"a":01}"#, "\"a"] {
            assert_eq!(code(malformed), "payload.malformed", "{malformed:?}");
        }
    }

    #[test]
    fn no_number_changes_on_its_way() {
        let text = r#"{"a":9007199254740993,"b":-0,"c":1e400,"d":12345678901234567890123}"#;
        let json = Json::parse(text, &Limits::default()).unwrap();
        assert_eq!(serde_json::to_string(&json).unwrap(), text);
    }
}
