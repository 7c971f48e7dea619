//! Why a database could not be opened: what is wrong and what to do.

use aftercommit_domain::failure::{Classified, ErrorClass};

use crate::trouble::{Trouble, told, trouble};

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
    /// The server answers, but not to this login.
    #[error("PostgreSQL at {place} refuses the login: {reason}")]
    Login {
        /// Host and port.
        place: String,
        /// What the server said.
        reason: String,
    },
    /// The server went away, or was too busy.
    #[error("PostgreSQL could not {operation}: {reason}; it is safe to try again")]
    Interrupted {
        /// What was tried.
        operation: &'static str,
        /// What was seen.
        reason: String,
    },
    /// The role may not do it.
    #[error(
        "the role may not {operation}: {reason}; `GRANT CREATE ON DATABASE …` to it, or let the role that owns the tables do it: \
         `AFTERCOMMIT_POSTGRES__MIGRATE_URL=postgres://owner:…@… aftercommit migrate`"
    )]
    NoPrivilege {
        /// What was tried.
        operation: &'static str,
        /// What the server said.
        reason: String,
    },
    /// The server is too old.
    #[error("PostgreSQL {found} is too old; 13 or newer is needed")]
    OldServer {
        /// Its version.
        found: String,
    },
    /// The database keeps texts in a way that cannot hold all of them.
    #[error(
        "the database has the encoding {found}; make one with `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`"
    )]
    Encoding {
        /// Its encoding.
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

impl ConnectError {
    /// What it means that `operation` failed so.
    pub(crate) fn of(operation: &'static str, error: &sqlx::Error) -> Self {
        let reason = told(error);
        match trouble(error) {
            Trouble::Away | Trouble::Conflict => Self::Interrupted { operation, reason },
            Trouble::Refused | Trouble::Duplicate if code(error).as_deref() == Some("42501") => {
                Self::NoPrivilege { operation, reason }
            }
            Trouble::Refused | Trouble::Duplicate => Self::Refused { operation, reason },
        }
    }

    /// Why nobody could connect to `place`.
    pub(crate) fn connecting(place: &str, error: &sqlx::Error) -> Self {
        let (place, reason) = (place.to_owned(), told(error));
        // Authorization, and a database that does not exist.
        if code(error).is_some_and(|code| code.starts_with("28") || code == "3D000") {
            Self::Login { place, reason }
        } else {
            Self::Unreachable { place, reason }
        }
    }
}

fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(std::borrow::Cow::into_owned)
}

impl Classified for ConnectError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Unreachable { .. } | Self::Interrupted { .. } | Self::Standby { .. } => ErrorClass::Outage,
            Self::Url { .. }
            | Self::Login { .. }
            | Self::NoPrivilege { .. }
            | Self::OldServer { .. }
            | Self::Encoding { .. }
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
            Self::Login { .. } => "database.login",
            Self::Interrupted { .. } => "database.interrupted",
            Self::NoPrivilege { .. } => "database.no_privilege",
            Self::OldServer { .. } => "database.old_server",
            Self::Encoding { .. } => "database.encoding",
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
