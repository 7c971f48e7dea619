//! Everything that is wrong with a configuration, one line each.

use std::fmt;

/// The exit status of a process that refuses its configuration (`EX_CONFIG` of sysexits).
pub const CONFIG_EXIT_CODE: u8 = 78;

/// All the problems of one configuration, in a stable order.
///
/// It is never empty. `Display` gives one line per problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    pub(crate) fn new(problems: Vec<ConfigError>) -> Self {
        Self(problems)
    }

    /// The problems, at least one.
    pub fn problems(&self) -> &[ConfigError] {
        &self.0
    }

    /// The exit status that a process ends with because of this: always 78.
    pub fn exit_code(&self) -> u8 {
        CONFIG_EXIT_CODE
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(problem: ConfigError) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// One problem: the key, what is wrong, and what would be right.
///
/// It never holds what was written for the key, because a secret may stand at the wrong place. Only what was
/// understood (a number, a duration) is repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}{}", Expected(.expected.as_deref()))]
pub struct ConfigError {
    key: String,
    problem: String,
    expected: Option<String>,
}

impl ConfigError {
    /// A problem that its text explains alone. Texts become one line.
    pub fn new(key: &str, problem: &str) -> Self {
        Self {
            key: one_line(key),
            problem: one_line(problem),
            expected: None,
        }
    }

    /// Adds what would have been accepted.
    pub fn expected(mut self, expected: &str) -> Self {
        self.expected = Some(one_line(expected));
        self
    }

    /// The key as its author wrote it: an environment variable, or a key of the file.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What is wrong.
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

struct Expected<'a>(Option<&'a str>);

impl fmt::Display for Expected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(expected) => write!(f, "; expected {expected}"),
            None => Ok(()),
        }
    }
}

/// Names of variables and files come from outside: they may neither break the line nor flood it.
fn one_line(text: &str) -> String {
    const LONGEST: usize = 400;
    let mut line = String::with_capacity(text.len().min(LONGEST));
    for character in text.chars() {
        if line.len() >= LONGEST {
            line.push('…');
            break;
        }
        if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}') {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}
