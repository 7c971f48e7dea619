//! Errors as the rail sees them: classified where they arise, acted on in one place.

use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::redaction::redacted;

/// The longest text a failure keeps of one error, in bytes.
pub const MAX_FAILURE_TEXT: usize = 8 * 1024;

/// What can be done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorClass {
    /// The same call may succeed later. Counts as an attempt.
    Retryable,
    /// The database or the broker is away. Nobody's fault: does not count as an attempt.
    Outage,
    /// The other side asked to slow down. Does not count as an attempt.
    RateLimited,
    /// The same call will never succeed.
    Permanent,
}

/// An error that knows its class. Every error of a port does.
pub trait Classified: Error + Send + Sync + 'static {
    /// What can be done about it.
    fn class(&self) -> ErrorClass;

    /// A stable code such as `smtp.refused`: what programs and alarms compare.
    fn code(&self) -> &'static str;

    /// When the other side said how long to wait.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

/// What is kept of an error: enough for a person to understand it, bounded, without control characters that could garble
/// a terminal or a log, and without the secrets that stand in usual places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The stable code.
    pub code: Cow<'static, str>,
    /// The class.
    pub class: ErrorClass,
    /// The error's own words.
    pub message: String,
    /// The words of its sources, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<String>,
}

impl Failure {
    /// A failure without an error behind it.
    pub fn new(code: impl Into<Cow<'static, str>>, class: ErrorClass, message: impl AsRef<str>) -> Self {
        Self {
            code: code.into(),
            class,
            message: bounded_text(message.as_ref()),
            chain: Vec::new(),
        }
    }

    /// What is kept of a classified error.
    pub fn of(error: &dyn Classified) -> Self {
        Self {
            code: Cow::Borrowed(error.code()),
            class: error.class(),
            message: bounded_text(&error.to_string()),
            chain: source_chain(error.to_string(), error.source()),
        }
    }

    /// What is kept of a foreign error, which the caller classifies.
    pub fn of_foreign(error: &(dyn Error + 'static), code: &'static str, class: ErrorClass) -> Self {
        Self {
            code: Cow::Borrowed(code),
            class,
            message: bounded_text(&error.to_string()),
            chain: source_chain(error.to_string(), error.source()),
        }
    }

    /// What groups failures of one cause: the code and eight digits that stand for the message without what differs from
    /// one task to the next, such as numbers, ids, addresses and quoted texts. The same trouble has the same one on every
    /// process.
    pub fn fingerprint(&self) -> String {
        let stable = Uuid::new_v5(&FINGERPRINTS, stable_words(&self.message).as_bytes());
        let short: String = stable.simple().to_string().chars().take(8).collect();
        format!("{}:{short}", self.code)
    }
}

/// The namespace of fingerprints; a name of our own, and never another.
const FINGERPRINTS: Uuid = Uuid::from_u128(0x8f6f_04a4_54a7_5c0e_9b3e_6d24_1f8e_a7c1);

/// The first line of a message with a `#` for each word that is another in the next task of the same trouble: one with a
/// digit or an `@`, and what stands in quotes.
fn stable_words(message: &str) -> String {
    let mut stable = String::new();
    let mut quote = None;
    for word in message.lines().next().unwrap_or_default().split_whitespace().take(40) {
        let inner = word.trim_matches(|c: char| !c.is_alphanumeric() && !QUOTES.contains(c));
        let opens = inner.chars().next().filter(|first| QUOTES.contains(*first));
        let varies = quote.is_some() || opens.is_some() || inner.contains(|c: char| c.is_ascii_digit() || c == '@');
        if quote.is_none() {
            stable.push_str(if varies { "#" } else { inner });
            stable.push(' ');
            quote = opens;
        }
        let ends = inner.chars().count() > 1 || opens.is_none();
        if ends && quote.is_some_and(|open| inner.ends_with(open)) {
            quote = None;
        }
    }
    stable
}

/// What a quoted text begins and ends with.
const QUOTES: &str = "\"'`";

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        self.chain.iter().try_for_each(|source| write!(f, ": {source}"))
    }
}

/// The words of the sources. An error that has said what its source says is not followed by it.
fn source_chain(said: String, mut source: Option<&(dyn Error + 'static)>) -> Vec<String> {
    let (mut chain, mut said) = (Vec::new(), said);
    while let Some(error) = source {
        // A chain can be made longer than anyone reads; eight is deeper than any library here goes.
        if chain.len() == 8 {
            break;
        }
        let text = error.to_string();
        if !said.ends_with(&text) {
            chain.push(bounded_text(&text));
        }
        said = text;
        source = error.source();
    }
    chain
}

/// What [`cleared_text`] keeps, without what stands in the usual places of secrets: `postgres://me:…@host`, `password=…`,
/// `Bearer …`.
pub fn bounded_text(text: &str) -> String {
    let redacted = redacted(&cleared_text(text));
    cut(&redacted).to_owned()
}

/// Cuts to [`MAX_FAILURE_TEXT`] at a character boundary and replaces control characters by spaces.
pub fn cleared_text(text: &str) -> String {
    cut(text)
        .chars()
        .map(|c| if c.is_control() && c != '\n' { ' ' } else { c })
        .collect()
}

fn cut(text: &str) -> &str {
    let end = text.floor_char_boundary(MAX_FAILURE_TEXT);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_keeps_at_most_eight_kibibytes_and_no_control_characters() {
        let failure = Failure::new("x", ErrorClass::Retryable, "é\0\u{1b}[31m".repeat(10_000));
        assert!(failure.message.len() <= MAX_FAILURE_TEXT);
        assert!(!failure.message.contains(['\0', '\u{1b}']));
    }

    #[test]
    fn what_an_error_has_said_of_its_source_is_not_said_twice() {
        #[derive(Debug, thiserror::Error)]
        #[error("{said}")]
        struct Outer {
            said: &'static str,
            source: std::num::ParseIntError,
        }
        let source = || "x".parse::<u8>().map(drop).unwrap_err();
        for (said, chain) in [
            ("the port: invalid digit found in string", 0),
            ("the port is no number", 1),
        ] {
            let failure = Failure::of_foreign(&Outer { said, source: source() }, "x", ErrorClass::Permanent);
            assert_eq!((failure.message.as_str(), failure.chain.len()), (said, chain));
        }
    }

    #[test]
    fn the_same_trouble_has_the_same_fingerprint_and_another_has_another() {
        let print =
            |code: &'static str, message: &str| Failure::new(code, ErrorClass::Retryable, message).fingerprint();
        let same = [
            ("no row 17", "no row 18"),
            (
                "no invoice 0192f0c1-7a3b-7c4d-8e5f-0123456789ab",
                "no invoice 0192f0c2-aaaa-7c4d-8e5f-0123456789ab",
            ),
            (
                "550 <ada@a.example>: no such mailbox",
                "550 <bob@b.example>: no such mailbox",
            ),
            ("no user 'ada' here", "no user 'ada lovelace' here"),
            ("refused\nat line 1", "refused\nat another place"),
        ];
        for (one, other) in same {
            assert_eq!(print("x", one), print("x", other), "{one} / {other}");
        }
        assert_ne!(print("x", "no row 17"), print("y", "no row 17"), "another code");
        assert_ne!(print("x", "no row 17"), print("x", "no column 17"), "other words");
        // Stored and compared between processes of different versions: it never changes.
        assert_eq!(print("smtp.refused", "no such mailbox"), "smtp.refused:d70f3dd2");
    }
}
