//! `DATABASE_URL`: where events, tasks and everything else durable are kept.

use crate::{
    data_dir::{DATABASE_FILE, DataDir},
    key::{Form, Key, Preset},
    reading::Reading,
};
use std::path::{Component, PathBuf};

/// The database that the URL's scheme picks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Database {
    /// One SQLite file. A relative path starts at the working directory.
    Sqlite(PathBuf),
}

pub(crate) static KEYS: [Key; 1] = [Key::new(
    "database_url",
    Form::Described("sqlite://<path of a file>"),
    Preset::InDataDir {
        prefix: "sqlite://",
        name: DATABASE_FILE,
    },
    "The database of events, tasks and everything else durable.",
)
.variable("DATABASE_URL")];

impl Database {
    pub(crate) fn read(reading: &mut Reading<'_>, data_dir: &DataDir) -> Self {
        let [key] = &KEYS;
        let found = reading.parsed(key, parse, |Self::Sqlite(path)| format!("sqlite://{}", path.display()));
        found.unwrap_or_else(|| Self::Sqlite(data_dir.database_file()))
    }
}

fn parse(text: &str) -> Result<Database, String> {
    let Some((scheme, rest)) = text.split_once(':') else {
        return Err("is not a URL".to_owned());
    };
    match scheme.to_ascii_lowercase().as_str() {
        "sqlite" => sqlite(rest.strip_prefix("//").unwrap_or(rest)).map(Database::Sqlite),
        "postgres" | "postgresql" => Err("this build does not support PostgreSQL yet".to_owned()),
        _ => Err("has a scheme that no provider serves".to_owned()),
    }
}

fn sqlite(path: &str) -> Result<PathBuf, String> {
    if path.contains(['?', '#']) {
        return Err("has parameters; AFTERCOMMIT_SQLITE__* sets them".to_owned());
    }
    // The URL of a server with the wrong scheme would become a folder that is named after its password.
    if path.split('/').next().is_some_and(|first| first.contains('@')) {
        return Err("names a user or a server, but SQLite is a file".to_owned());
    }
    if path == ":memory:" {
        return Err("a database in memory loses everything when the process ends".to_owned());
    }
    let path = percent_encoding::percent_decode_str(path)
        .decode_utf8()
        .map_err(|_| "is not UTF-8".to_owned())?;
    if path.chars().any(char::is_control) {
        return Err("contains a line break or another control character".to_owned());
    }
    if path.is_empty() || path.ends_with('/') {
        return Err("names no file".to_owned());
    }
    let path = PathBuf::from(path.as_ref());
    if path.components().any(|component| component == Component::ParentDir) {
        return Err("climbs out of a directory with `..`; give the absolute path".to_owned());
    }
    Ok(path)
}
