//! An incident.

use crate::contract::{OrganizationId, ProjectId, Tenant};
use crate::reference::records::{Record, RecordKey};
use crate::reference::{IncidentId, RecordId};
use crate::time::Timestamp;

/// A trouble of a source, from the record that told of it to the one that told it is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Its id.
    pub id: IncidentId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project whose records tell of it.
    pub project_id: ProjectId,
    /// What is in trouble; one incident of it is open at most.
    pub source: IncidentSource,
    /// The record that told of it.
    pub record_id: RecordId,
    /// When that came.
    pub told_at: Timestamp,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it was closed, and when the record came that told it is over.
    pub closed: Option<(Timestamp, Timestamp)>,
}

/// What is in trouble: 1 to 200 bytes of text, as a record's key is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IncidentSource(RecordKey);

impl IncidentSource {
    /// What `record` tells of: the text `source` of its body, or its own key where that has none that fits.
    pub fn of(record: &Record) -> Self {
        let named = record.body.text_field("source").map(RecordKey::new);
        Self(named.and_then(Result::ok).unwrap_or_else(|| record.key.clone()))
    }

    /// The source as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl From<RecordKey> for IncidentSource {
    fn from(key: RecordKey) -> Self {
        Self(key)
    }
}

impl Incident {
    /// Whose it is.
    pub fn tenant(&self) -> Tenant {
        Tenant::project(&self.organization_id, &self.project_id)
    }

    /// When the last record came that it goes by.
    pub fn last_told_at(&self) -> Timestamp {
        self.closed.map_or(self.told_at, |(_, told_at)| told_at)
    }
}
