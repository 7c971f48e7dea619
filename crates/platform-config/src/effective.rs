//! The configuration that holds, with its secrets left out.

use crate::{key::KeyName, layers::Origin};
use serde::Serialize;
use std::fmt::Write as _;

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rendering {
    /// For people.
    Text,
    /// One JSON document.
    Json,
}

/// One key and the value that holds for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EffectiveValue {
    /// The environment variable of the key.
    pub key: String,
    /// The value, or `‹redacted›` in place of a secret; `None` when the key is unset.
    pub value: Option<String>,
    /// Where the value comes from: `default`, `environment`, or the file.
    pub source: String,
}

impl EffectiveValue {
    pub(crate) fn new(name: &KeyName, value: Option<String>, origin: Option<&Origin>) -> Self {
        let source = match origin {
            None => "default".to_owned(),
            Some(Origin::Environment) => "environment".to_owned(),
            Some(Origin::File(file)) => file.clone(),
        };
        Self {
            key: name.variable.clone(),
            value,
            source,
        }
    }
}

pub(crate) fn render(values: &[EffectiveValue], rendering: Rendering) -> String {
    match rendering {
        Rendering::Json => {
            // Strings and options of strings always serialise.
            serde_json::to_string_pretty(values).unwrap_or_default()
        }
        Rendering::Text => {
            let width = values.iter().map(|value| value.key.len()).max().unwrap_or_default();
            let mut text = String::new();
            for EffectiveValue { key, value, source } in values {
                // Writing to a string cannot fail.
                let _ = writeln!(
                    text,
                    "{key:width$} = {}  ({source})",
                    value.as_deref().unwrap_or("unset")
                );
            }
            text
        }
    }
}
