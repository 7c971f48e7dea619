//! `--payload`: the JSON itself, `@FILE`, or `-` for standard input.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::str::FromStr;

use serde_json::value::RawValue;

use crate::command_error::CommandError;

/// More than any payload that would be accepted, so that a wrong file does not fill the memory.
const LONGEST: u64 = 4 << 20;

/// Where the payload comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PayloadSource {
    Text(String),
    File(PathBuf),
    StandardInput,
}

impl FromStr for PayloadSource {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.strip_prefix('@') {
            Some(path) => Self::File(path.into()),
            None if text == "-" => Self::StandardInput,
            None => Self::Text(text.to_owned()),
        })
    }
}

impl PayloadSource {
    /// The payload, as its author wrote it: numbers keep every digit.
    pub(crate) fn read(&self) -> Result<Box<RawValue>, CommandError> {
        let text = match self {
            Self::Text(text) => text.clone(),
            Self::File(path) => {
                let file = File::open(path);
                file.and_then(bounded)
                    .map_err(|error| usage(&format!("cannot read {}: {error}", path.display())))?
            }
            Self::StandardInput => {
                bounded(io::stdin().lock()).map_err(|error| usage(&format!("cannot read standard input: {error}")))?
            }
        };
        // The parser's words hold no part of the text, which may hold a secret.
        serde_json::from_str(&text).map_err(|error| usage(&format!("not JSON: {error}")))
    }
}

fn bounded(reader: impl Read) -> io::Result<String> {
    let mut text = String::new();
    reader.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(io::Error::other("longer than 4 MiB"));
    }
    Ok(text)
}

fn usage(detail: &str) -> CommandError {
    CommandError::Usage(format!("--payload: {detail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let source: PayloadSource = text.parse().unwrap();
        source
            .read()
            .map(|json| json.get().to_owned())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn json_is_passed_on_as_it_was_written() {
        assert_eq!(
            read(r#" {"n": 12345678901234567890123} "#).unwrap(),
            r#"{"n": 12345678901234567890123}"#
        );
    }

    #[test]
    fn a_file_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("payload.json");
        std::fs::write(&path, "{}").unwrap();
        assert_eq!(read(&format!("@{}", path.display())).unwrap(), "{}");
        assert!(
            read("@/does/not/exist")
                .unwrap_err()
                .contains("cannot read /does/not/exist")
        );
    }

    #[test]
    fn what_is_no_json_is_refused_without_being_repeated() {
        let error = read("{\"password\": canary}").unwrap_err();
        assert!(
            error.starts_with("--payload: not JSON: ") && !error.contains("canary"),
            "{error}"
        );
    }
}
