//! Input from outside: checked field by field, so that one answer names every problem.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::effects::EmailAddress;

/// The longest name of an organization or a project, in characters.
const MAX_NAME_CHARS: usize = 120;

/// The name of an organization or a project: 1 to 120 characters, trimmed, without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Name(String);

impl Name {
    /// Takes text from outside.
    ///
    /// # Errors
    /// What is wrong with it, for the field it came in.
    pub fn new(text: &str) -> Result<Self, Wrong> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Wrong::new("empty", "must not be empty"));
        }
        if text.chars().count() > MAX_NAME_CHARS {
            return Err(Wrong::new("too_long", "must have at most 120 characters"));
        }
        if text.chars().any(char::is_control) {
            return Err(Wrong::new("control_character", "must not contain control characters"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(|wrong| serde::de::Error::custom(wrong.detail))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is wrong with a value, before the field is named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Wrong {
    /// A stable code, such as `too_long`.
    pub code: &'static str,
    /// What the value must be, for people.
    pub detail: &'static str,
}

impl Wrong {
    /// A problem of this code.
    pub const fn new(code: &'static str, detail: &'static str) -> Self {
        Self { code, detail }
    }
}

/// One problem of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputProblem {
    /// Where: a field's path such as `email` or `records[3].key`.
    pub field: String,
    /// A stable code, such as `too_long`.
    pub code: &'static str,
    /// What the value must be, for people. Never quotes the value, which may be personal data.
    pub detail: String,
}

/// Input that cannot be taken, with every problem found in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InvalidInput {
    /// The problems; at least one.
    pub problems: Vec<InputProblem>,
}

impl InvalidInput {
    /// One problem of one field.
    pub fn of(field: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            problems: vec![InputProblem {
                field: field.into(),
                code,
                detail: detail.into(),
            }],
        }
    }
}

impl std::error::Error for InvalidInput {}

impl fmt::Display for InvalidInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for problem in &self.problems {
            write!(f, "{separator}{}: {}", problem.field, problem.detail)?;
            separator = "; ";
        }
        Ok(())
    }
}

/// Collects the problems of several fields.
#[derive(Debug, Default)]
pub(crate) struct Checked(InvalidInput);

impl Checked {
    /// The value, or its problem noted under `field`.
    pub(crate) fn field<T>(&mut self, field: &str, value: Result<T, Wrong>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.0.problems.push(InputProblem {
                    field: field.to_owned(),
                    code: wrong.code,
                    detail: wrong.detail.to_owned(),
                });
                None
            }
        }
    }

    /// Notes a problem that says more than a [`Wrong`] can.
    pub(crate) fn problem(&mut self, field: &str, code: &'static str, detail: String) {
        self.0.problems.push(InputProblem {
            field: field.to_owned(),
            code,
            detail,
        });
    }

    /// Everything that was wrong.
    pub(crate) fn into_invalid(self) -> InvalidInput {
        self.0
    }
}

/// An e-mail address from outside.
pub(crate) fn email(text: &str) -> Result<EmailAddress, Wrong> {
    EmailAddress::new(text).map_err(|_| {
        Wrong::new(
            "invalid_email",
            "must be an e-mail address such as name@example.com, with at most 254 bytes",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_trimmed_bounded_and_printable() {
        assert_eq!(Name::new("  Acme  ").unwrap().as_str(), "Acme");
        assert!(Name::new(&"é".repeat(120)).is_ok());
        for (bad, code) in [
            ("", "empty"),
            ("   ", "empty"),
            (&*"é".repeat(121), "too_long"),
            ("a\nb", "control_character"),
        ] {
            assert_eq!(Name::new(bad).unwrap_err().code, code, "{bad:?}");
        }
    }

    #[test]
    fn every_problem_of_an_input_is_named() {
        let mut checked = Checked::default();
        assert!(checked.field("name", Name::new("")).is_none());
        assert!(checked.field("owner_email", email("nobody")).is_none());
        let invalid = checked.into_invalid();
        let fields: Vec<_> = invalid.problems.iter().map(|p| p.field.as_str()).collect();
        assert_eq!(fields, ["name", "owner_email"]);
        assert!(!invalid.to_string().contains("nobody"));
    }
}
