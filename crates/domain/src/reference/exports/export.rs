//! An export.

use std::fmt::Display;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, ProjectId, Tenant};
use crate::effects::{InvalidObjectKey, ObjectKey};
use crate::reference::{ExportId, UserId, Wrong};
use crate::time::Timestamp;

/// The longest reason of a failure, in bytes.
pub const MAX_EXPORT_REASON: usize = 500;

/// Where files of exports lie below their tenant.
const COLLECTION: &str = "exports";

/// What a project held when somebody asked for it, as a file: requested → running → ready, failed or cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// Its id.
    pub id: ExportId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project.
    pub project_id: ProjectId,
    /// What is exported.
    pub kind: ExportKind,
    /// Who is told when it is over.
    pub recipient_user_id: UserId,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// How far it is.
    pub state: ExportState,
}

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExportKind {
    /// The project's records, one line of JSON for each.
    Records,
}

/// How far an export is. The last three are final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportState {
    /// It was asked for.
    Requested,
    /// It is being made.
    Running {
        /// How many rows were collected so far.
        rows: u64,
    },
    /// Its file can be downloaded.
    Ready {
        /// The file.
        file: ObjectKey,
        /// How many rows it has.
        rows: u64,
        /// How large it is.
        bytes: u64,
        /// Since when.
        at: Timestamp,
    },
    /// It cannot be made.
    Failed {
        /// Why, for people; at most 500 bytes.
        reason: String,
        /// Since when.
        at: Timestamp,
    },
    /// Somebody did not want it any more.
    Cancelled {
        /// Since when.
        at: Timestamp,
    },
}

impl Export {
    /// Whose it is.
    pub fn tenant(&self) -> Tenant {
        Tenant::project(&self.organization_id, &self.project_id)
    }

    /// Where its file lies, or will: one key for each export, so that every attempt writes the same.
    ///
    /// # Errors
    /// None, as an id is always a name; the signature says what a key can be refused for.
    pub fn file(&self) -> Result<ObjectKey, InvalidObjectKey> {
        ObjectKey::new(
            &self.tenant(),
            COLLECTION,
            &format!("{}.{}", self.id, self.kind.extension()),
        )
    }
}

impl ExportKind {
    /// The kind as text, as it is stored and asked for.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Records => "records",
        }
    }

    const fn extension(self) -> &'static str {
        match self {
            Self::Records => "ndjson",
        }
    }
}

impl FromStr for ExportKind {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        match text {
            "records" => Ok(Self::Records),
            _ => Err(Wrong::new("unknown_kind", "must be records")),
        }
    }
}

impl ExportState {
    /// It failed for this reason, of which the beginning is kept.
    pub fn failed(reason: impl Display, at: Timestamp) -> Self {
        let mut reason = reason.to_string();
        reason.truncate(reason.floor_char_boundary(MAX_EXPORT_REASON));
        Self::Failed { reason, at }
    }

    /// The state as text, as it is stored and shown.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Running { .. } => "running",
            Self::Ready { .. } => "ready",
            Self::Failed { .. } => "failed",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// Whether nothing comes after it.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Ready { .. } | Self::Failed { .. } | Self::Cancelled { .. })
    }

    /// How many rows were collected, as far as it is known.
    pub const fn rows(&self) -> u64 {
        match self {
            Self::Running { rows } | Self::Ready { rows, .. } => *rows,
            Self::Requested | Self::Failed { .. } | Self::Cancelled { .. } => 0,
        }
    }

    /// The columns a store keeps beside the name.
    pub fn columns(&self) -> ExportColumns<'_> {
        let none = ExportColumns::default();
        match self {
            Self::Requested => none,
            Self::Running { rows } => ExportColumns { rows: *rows, ..none },
            Self::Ready { file, rows, bytes, at } => ExportColumns {
                file: Some(file.as_str()),
                rows: *rows,
                bytes: *bytes,
                ended_at: Some(*at),
                ..none
            },
            Self::Failed { reason, at } => ExportColumns {
                reason: Some(reason),
                ended_at: Some(*at),
                ..none
            },
            Self::Cancelled { at } => ExportColumns {
                ended_at: Some(*at),
                ..none
            },
        }
    }

    /// The state that was kept under this name and these columns.
    ///
    /// # Errors
    /// They do not fit together.
    pub fn from_columns(name: &str, columns: ExportColumns<'_>) -> Result<Self, Wrong> {
        let wrong = Wrong::new("export.corrupt", "an export's state and its columns must fit together");
        let ExportColumns {
            file,
            rows,
            bytes,
            reason,
            ended_at,
        } = columns;
        match (name, file, reason, ended_at) {
            ("requested", None, None, None) => Ok(Self::Requested),
            ("running", None, None, None) => Ok(Self::Running { rows }),
            ("ready", Some(file), None, Some(at)) => Ok(Self::Ready {
                file: file.parse().map_err(|_| wrong)?,
                rows,
                bytes,
                at,
            }),
            ("failed", None, Some(reason), Some(at)) => Ok(Self::failed(reason, at)),
            ("cancelled", None, None, Some(at)) => Ok(Self::Cancelled { at }),
            _ => Err(wrong),
        }
    }
}

/// What a store keeps of a state beside its name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExportColumns<'a> {
    /// The key of the file.
    pub file: Option<&'a str>,
    /// How many rows.
    pub rows: u64,
    /// How large.
    pub bytes: u64,
    /// Why it failed.
    pub reason: Option<&'a str>,
    /// Since when it is over.
    pub ended_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn export() -> Export {
        Export {
            id: ExportId::from(Uuid::from_u128(7)),
            organization_id: OrganizationId::new("Acme").unwrap(),
            project_id: ProjectId::from(2_i64),
            kind: ExportKind::Records,
            recipient_user_id: UserId::from(Uuid::from_u128(8)),
            requested_at: Timestamp::UNIX_EPOCH,
            state: ExportState::Requested,
        }
    }

    #[test]
    fn the_file_of_an_export_lies_under_its_tenant() {
        assert_eq!(
            export().file().unwrap().as_str(),
            "_41cme/2/exports/00000000-0000-0000-0000-000000000007.ndjson"
        );
    }

    #[test]
    fn every_state_comes_back_from_its_columns_and_no_other_columns_are_a_state() {
        let at = Timestamp::UNIX_EPOCH;
        let states = [
            ExportState::Requested,
            ExportState::Running { rows: 3 },
            ExportState::Ready {
                file: export().file().unwrap(),
                rows: 3,
                bytes: 30,
                at,
            },
            ExportState::failed("\u{fc}".repeat(300), at),
            ExportState::Cancelled { at },
        ];
        for state in &states {
            let columns = state.columns();
            assert_eq!(ExportState::from_columns(state.as_str(), columns), Ok(state.clone()));
            for other in states.iter().filter(|other| *other != state) {
                let mixed = ExportState::from_columns(other.as_str(), columns);
                let without_rows = matches!((state, other), (ExportState::Requested, ExportState::Running { .. }))
                    || matches!((state, other), (ExportState::Running { .. }, ExportState::Requested));
                assert!(mixed.is_err() || without_rows, "{state:?} as {other:?}");
            }
        }
        let ExportState::Failed { reason, .. } = &states[3] else {
            panic!()
        };
        assert_eq!(reason.len(), MAX_EXPORT_REASON);
    }
}
