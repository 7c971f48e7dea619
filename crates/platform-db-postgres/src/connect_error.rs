//! Why a database could not be opened: what is wrong and what to do.

use aftercommit_domain::failure::{Classified, ErrorClass};

/// A database could not be opened. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is none.
    #[error("{which} is no PostgreSQL URL: {reason}; expected postgres://user:password@host:5432/database")]
    Url {
        /// Which setting.
        which: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Nobody answers, or the server refuses.
    #[error("cannot connect to PostgreSQL at {place}: {reason}")]
    Unreachable {
        /// Host and port.
        place: String,
        /// What was seen.
        reason: String,
    },
    /// The server is too old.
    #[error("PostgreSQL {found} is too old; 13 or newer is needed")]
    OldServer {
        /// Its version.
        found: String,
    },
    /// The server only reads.
    #[error("PostgreSQL at {place} is a standby, which cannot write; connect to the primary (target_session_attrs)")]
    Standby {
        /// Host and port.
        place: String,
    },
    /// A migration is missing and may not be applied here.
    #[error("the schema {schema} lacks migration {version}; run `aftercommit migrate`")]
    OlderSchema {
        /// Which schema.
        schema: &'static str,
        /// The first that is missing.
        version: i64,
    },
    /// A newer version of this program changed the schema.
    #[error("the schema {schema} was changed by a newer version (migration {version}); run that version")]
    NewerSchema {
        /// Which schema.
        schema: &'static str,
        /// The first migration unknown here.
        version: i64,
    },
    /// A migration is not the one that was applied.
    #[error(
        "migration {version} of the schema {schema} is not the one this version knows; run the version that made it"
    )]
    ChangedMigration {
        /// Which schema.
        schema: &'static str,
        /// Which.
        version: i64,
    },
    /// A migration was not finished.
    #[error(
        "migration {version} of the schema {schema} was not finished; look at {schema}.migrations, mend it by hand, and delete that row"
    )]
    DirtyMigration {
        /// Which schema.
        schema: &'static str,
        /// Which.
        version: i64,
    },
    /// A role cannot be the application's.
    #[error("the role {role} {reason}")]
    Role {
        /// Which.
        role: String,
        /// What is wrong, and what to do.
        reason: &'static str,
    },
    /// The server refused.
    #[error("cannot {operation} in PostgreSQL: {reason}")]
    Refused {
        /// What was tried.
        operation: &'static str,
        /// What the server said.
        reason: String,
    },
}

impl Classified for ConnectError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Unreachable { .. } | Self::Standby { .. } => ErrorClass::Outage,
            Self::Url { .. }
            | Self::OldServer { .. }
            | Self::OlderSchema { .. }
            | Self::NewerSchema { .. }
            | Self::ChangedMigration { .. }
            | Self::DirtyMigration { .. }
            | Self::Role { .. }
            | Self::Refused { .. } => ErrorClass::Permanent,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Url { .. } => "database.url",
            Self::Unreachable { .. } => "database.unavailable",
            Self::OldServer { .. } => "database.old_server",
            Self::Standby { .. } => "database.standby",
            Self::OlderSchema { .. } => "database.older_schema",
            Self::NewerSchema { .. } => "database.newer_schema",
            Self::ChangedMigration { .. } => "database.changed_migration",
            Self::DirtyMigration { .. } => "database.dirty_migration",
            Self::Role { .. } => "database.role",
            Self::Refused { .. } => "database.refused",
        }
    }
}
