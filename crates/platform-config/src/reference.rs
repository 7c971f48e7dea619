//! The reference of all keys, as `aftercommit config reference` prints it.

use crate::{effective::Rendering, key::Key, load::CONFIG_VARIABLE, table};
use serde::Serialize;
use std::fmt::Write as _;

/// What the reference says about one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReferenceEntry {
    /// The environment variable.
    pub key: String,
    /// The key in `aftercommit.toml`.
    pub file_key: String,
    /// The value that holds while the key is not given, or what happens then.
    pub default: String,
    /// The accepted form.
    pub accepted: String,
    /// What the key decides.
    pub meaning: String,
    /// Whether the value is never shown.
    pub secret: bool,
}

/// All keys, in the order in which the reference prints them.
pub fn reference_entries() -> Vec<ReferenceEntry> {
    table::keys().map(entry).collect()
}

/// The whole reference.
pub fn reference(rendering: Rendering) -> String {
    let entries = reference_entries();
    match rendering {
        // Strings and booleans always serialise.
        Rendering::Json => serde_json::to_string_pretty(&entries).unwrap_or_default(),
        Rendering::Text => text(&entries),
    }
}

fn entry(key: &Key) -> ReferenceEntry {
    let name = key.printed_name();
    ReferenceEntry {
        key: name.variable,
        file_key: name.path,
        default: key.preset.printed(),
        accepted: key.form.expected(),
        meaning: key.meaning.to_owned(),
        secret: key.secret,
    }
}

fn text(entries: &[ReferenceEntry]) -> String {
    let mut text = format!(
        "Every key is an environment variable. A file may give the same keys by their second name: aftercommit.toml in\n\
         the working directory, or the one that {CONFIG_VARIABLE} names. The environment wins over the file.\n\
         <TOPIC> is the name of a topic in capitals: MAGIC_LINK_EMAIL is the topic magic-link-email.\n"
    );
    for ReferenceEntry {
        key,
        file_key,
        default,
        accepted,
        meaning,
        secret,
    } in entries
    {
        let secret = if *secret { " (secret)" } else { "" };
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n{key}  {file_key}{secret}\n    {meaning}\n    default:  {default}\n    accepted: {accepted}\n"
        );
    }
    text
}
