//! Errors as the rail sees them: classified where they arise, acted on in one place.

use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;

use serde::{Deserialize, Serialize};

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

    /// The code that groups failures of one cause: what a dead-letter list is filtered by.
    pub fn fingerprint(&self) -> String {
        let stable: String = self.message.chars().filter(|c| !c.is_ascii_digit()).take(80).collect();
        format!("{}:{stable}", self.code)
    }
}

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

/// Cuts to [`MAX_FAILURE_TEXT`] at a character boundary, replaces control characters by spaces, and takes out what stands in
/// the usual places of secrets: `postgres://me:…@host`, `password=…`, `Bearer …`.
pub fn bounded_text(text: &str) -> String {
    let cleared: String = cut(text)
        .chars()
        .map(|c| if c.is_control() && c != '\n' { ' ' } else { c })
        .collect();
    let redacted = redacted(&cleared);
    cut(&redacted).to_owned()
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
    fn the_fingerprint_does_not_depend_on_numbers() {
        let a = Failure::new("x", ErrorClass::Retryable, "no row 17");
        let b = Failure::new("x", ErrorClass::Retryable, "no row 18");
        assert_eq!(a.fingerprint(), b.fingerprint());
    }
}
