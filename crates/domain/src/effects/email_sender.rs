//! Sending e-mail.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::effects::IdempotencyKey;
use crate::failure::{Classified, ErrorClass};

/// Sends e-mail.
///
/// **Contract**: `Ok` means the next hop accepted it. `key` becomes part of the Message-Id, so that a repeated send can
/// be recognised. Has a deadline of its own; called concurrently; cancelling it may or may not have sent.
#[async_trait]
pub trait EmailSender: Send + Sync {
    /// Sends `email`.
    async fn send(&self, email: Email, key: &IdempotencyKey) -> Result<(), EmailError>;
}

/// An e-mail from the configured sender.
#[derive(Clone, PartialEq, Eq)]
pub struct Email {
    /// The recipient.
    pub to: EmailAddress,
    /// The subject: one line.
    pub subject: String,
    /// The text for readers without HTML.
    pub text: String,
    /// The HTML.
    pub html: String,
}

impl fmt::Debug for Email {
    /// Neither the recipient nor what it says belongs in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Email").finish_non_exhaustive()
    }
}

/// An e-mail address: one `@`, a domain with a dot or `localhost`, at most 254 bytes, no spaces or control characters.
/// Personal data: its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct EmailAddress(String);

/// The text is no e-mail address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an e-mail address looks like name@example.com, with at most 254 bytes")]
pub struct InvalidEmailAddress;

impl EmailAddress {
    /// Takes text from outside; the domain is made lower case.
    pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidEmailAddress> {
        let text = text.as_ref().trim();
        let (local, domain) = text.rsplit_once('@').ok_or(InvalidEmailAddress)?;
        let local_fits = !local.is_empty()
            && local.len() <= 64
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..")
            && local
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b));
        let label_fits = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        let domain_fits = (domain.contains('.') || domain == "localhost") && domain.split('.').all(label_fits);
        if text.len() > 254 || !local_fits || !domain_fits {
            return Err(InvalidEmailAddress);
        }
        Ok(Self(format!("{local}@{}", domain.to_ascii_lowercase())))
    }

    /// The address in clear.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EmailAddress {
    type Err = InvalidEmailAddress;

    fn from_str(text: &str) -> Result<Self, InvalidEmailAddress> {
        Self::new(text)
    }
}

impl<'de> Deserialize<'de> for EmailAddress {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("‹e-mail address›")
    }
}

/// An e-mail was not sent, or it is not known whether it was.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EmailError {
    /// The server is away, too slow, or answered with a temporary refusal (4xx).
    #[error("the mail server is unavailable: {reason}")]
    Unavailable {
        /// What was seen, without addresses.
        reason: String,
    },
    /// The server refused the message for good (5xx), or it cannot be built.
    #[error("the mail server refused the message: {reason}")]
    Refused {
        /// What was seen, without addresses.
        reason: String,
    },
}

impl Classified for EmailError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Unavailable { .. } => ErrorClass::Retryable,
            Self::Refused { .. } => ErrorClass::Permanent,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "smtp.unavailable",
            Self::Refused { .. } => "smtp.refused",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_can_be_put_in_a_header_are_taken() {
        for good in ["a@example.com", "first.last+tag@EXAMPLE.co.uk", "x@localhost"] {
            assert!(EmailAddress::new(good).is_ok(), "{good}");
        }
        let long = format!("{}@example.com", "x".repeat(65));
        for bad in [
            "",
            "a",
            "@example.com",
            "a@",
            "a@b",
            "a b@example.com",
            "a@example.com\r\nBcc: x",
            "a@-x.com",
            "a..b@x.com",
            &long,
        ] {
            assert_eq!(EmailAddress::new(bad), Err(InvalidEmailAddress), "{bad:?}");
        }
    }
}
