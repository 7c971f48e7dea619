//! `DATABASE_URL`: where events, tasks and everything else durable are kept.

use crate::{
    data_dir::{DATABASE_FILE, DataDir},
    key::{Form, Key, Preset},
    postgres::PostgresSettings,
    postgres_url::{self, GivenUrl},
    reading::Reading,
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use std::path::{Component, Path, PathBuf};

/// What the URL of a file begins with.
pub(crate) const SQLITE: &str = "sqlite://";

/// The database that the URL's scheme picks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Database {
    /// One SQLite file. A relative path starts at the working directory.
    Sqlite(PathBuf),
    /// A PostgreSQL server, and how it is used.
    Postgres(Box<PostgresSettings>),
}

/// What `DATABASE_URL` says, before the settings of a server are known.
pub(crate) enum DatabaseUrl {
    Sqlite(PathBuf),
    Postgres(GivenUrl),
}

pub(crate) static KEYS: [Key; 1] = [Key::new(
    "database_url",
    Form::Described(
        "sqlite://<path of a file>, or postgres://user:password@host:port/database with special characters of user and \
         password percent-encoded",
    ),
    Preset::InDataDir {
        prefix: SQLITE,
        name: DATABASE_FILE,
    },
    "The database of events, tasks and everything else durable.",
)
.variable("DATABASE_URL")
.secret()];

impl DatabaseUrl {
    /// `None` when nothing is given, or nothing right.
    pub(crate) fn read(reading: &mut Reading<'_>) -> Option<Self> {
        let [key] = &KEYS;
        reading.parsed(key, parse, |url| match url {
            Self::Sqlite(path) => sqlite_url(path),
            Self::Postgres(url) => url.shown(),
        })
    }

    /// Whether the database is a file. A URL that is wrong may have meant a server.
    pub(crate) fn is_certainly_no_server(url: Option<&Self>, reading: &Reading<'_>) -> bool {
        let [key] = &KEYS;
        match url {
            Some(Self::Sqlite(_)) => true,
            Some(Self::Postgres(_)) => false,
            None => !reading.is_given(key),
        }
    }
}

impl Database {
    pub(crate) fn read(reading: &mut Reading<'_>, url: Option<DatabaseUrl>, data_dir: &DataDir) -> Self {
        let [key] = &KEYS;
        let (file, server) = match url {
            Some(DatabaseUrl::Sqlite(path)) => {
                let problem = "is given, but DATABASE_URL is not that of a PostgreSQL server";
                PostgresSettings::refuse_roles(reading, problem);
                (Some(path), None)
            }
            Some(DatabaseUrl::Postgres(url)) => (None, Some(url)),
            None if reading.is_given(key) => (None, None),
            None => {
                PostgresSettings::refuse_roles(reading, "is given, but DATABASE_URL is not");
                (None, None)
            }
        };
        // Read in any case, so that a bad value is found and the defaults are shown.
        match PostgresSettings::read(reading, key, server) {
            Some(settings) => Self::Postgres(Box::new(settings)),
            None => Self::Sqlite(file.unwrap_or_else(|| data_dir.database_file())),
        }
    }

    /// What works but should be changed.
    pub(crate) fn warnings(&self) -> Vec<String> {
        match self {
            Self::Sqlite(_) => Vec::new(),
            Self::Postgres(settings) => settings.warnings(),
        }
    }
}

/// The URL that is read as this file.
pub(crate) fn sqlite_url(path: &Path) -> String {
    /// What would be read as something else.
    const SPECIAL: AsciiSet = CONTROLS.add(b' ').add(b'%').add(b'?').add(b'#').add(b'@');
    let path = path.to_string_lossy();
    format!("{SQLITE}{}", utf8_percent_encode(&path, &SPECIAL))
}

fn parse(text: &str) -> Result<DatabaseUrl, String> {
    let Some((scheme, rest)) = text.split_once(':') else {
        return Err("is not a URL".to_owned());
    };
    match scheme.to_ascii_lowercase().as_str() {
        "sqlite" => sqlite(rest.strip_prefix("//").unwrap_or(rest)).map(DatabaseUrl::Sqlite),
        "postgres" | "postgresql" => postgres_url::parse(text).map(DatabaseUrl::Postgres),
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
