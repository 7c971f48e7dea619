//! Why a database could not be opened: what, where, and what to do.

use std::io;
use std::path::PathBuf;

use aftercommit_domain::failure::{Classified, ErrorClass};

/// A database could not be opened. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No file, but memory.
    #[error("a database in memory does not outlive its process; give the path of a file instead of {path:?}")]
    InMemory {
        /// What was given.
        path: PathBuf,
    },
    /// The path is a directory.
    #[error("{} is a directory; give the path of a file in it, such as {}/aftercommit.db", path.display(), path.display())]
    Directory {
        /// Where.
        path: PathBuf,
    },
    /// The file or its directory cannot be made, read or written.
    #[error("cannot use {}: {source}; this user needs to read and write the file and its directory", path.display())]
    Inaccessible {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is on a filesystem shared over a network, which breaks SQLite's locks.
    #[error("{} is on a network filesystem ({filesystem}), which can corrupt a database; put it on a local disk", path.display())]
    NetworkFilesystem {
        /// Where.
        path: PathBuf,
        /// What kind.
        filesystem: String,
    },
    /// Another process has it open.
    #[error("{} is in use by another process{by}; stop that one first, only one may have a database open", path.display())]
    InUse {
        /// Where.
        path: PathBuf,
        /// Its number in brackets, when it is known.
        by: String,
    },
    /// This build has an SQLite with a known way to corrupt a database.
    #[error("this build has SQLite {found}, which can corrupt a database; build with 3.51.3 or newer")]
    OldSqlite {
        /// Its version.
        found: String,
    },
    /// The file holds something else.
    #[error("{} is no SQLite database; give another path", path.display())]
    NotADatabase {
        /// Where.
        path: PathBuf,
    },
    /// The file is damaged.
    #[error("{} is damaged ({reason}); restore it from a backup", path.display())]
    Corrupt {
        /// Where.
        path: PathBuf,
        /// What the check found first.
        reason: String,
    },
    /// A newer version of this program changed the tables.
    #[error("{} was used by a newer version (migration {version}); run that version, or restore an older backup", path.display())]
    NewerSchema {
        /// Where.
        path: PathBuf,
        /// The first migration unknown here.
        version: i64,
    },
    /// A migration is not the one that was applied.
    #[error("migration {version} of {} is not the one this version knows; run the version that made it", path.display())]
    ChangedMigration {
        /// Where.
        path: PathBuf,
        /// Which.
        version: i64,
    },
    /// A migration was not finished.
    #[error("migration {version} of {} was not finished; restore the database from a backup", path.display())]
    DirtyMigration {
        /// Where.
        path: PathBuf,
        /// Which.
        version: i64,
    },
    /// SQLite refused.
    #[error("cannot {operation} {}: {reason}", path.display())]
    Store {
        /// What was tried.
        operation: &'static str,
        /// Where.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
}

impl Classified for OpenError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::InUse { .. } | Self::Store { .. } => ErrorClass::Outage,
            Self::InMemory { .. }
            | Self::Directory { .. }
            | Self::Inaccessible { .. }
            | Self::NetworkFilesystem { .. }
            | Self::OldSqlite { .. }
            | Self::NotADatabase { .. }
            | Self::Corrupt { .. }
            | Self::NewerSchema { .. }
            | Self::ChangedMigration { .. }
            | Self::DirtyMigration { .. } => ErrorClass::Permanent,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::InMemory { .. } => "database.in_memory",
            Self::Directory { .. } => "database.directory",
            Self::Inaccessible { .. } => "database.inaccessible",
            Self::NetworkFilesystem { .. } => "database.network_filesystem",
            Self::InUse { .. } => "database.in_use",
            Self::OldSqlite { .. } => "database.old_sqlite",
            Self::NotADatabase { .. } => "database.not_a_database",
            Self::Corrupt { .. } => "database.corrupt",
            Self::NewerSchema { .. } => "database.newer_schema",
            Self::ChangedMigration { .. } => "database.changed_migration",
            Self::DirtyMigration { .. } => "database.dirty_migration",
            Self::Store { .. } => "database.unavailable",
        }
    }
}
