//! What happens to records.

use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, ProjectId, StorageKey, UpcastError};
use crate::events::DomainEvent;
use crate::reference::RecordId;

/// A batch of records was stored. Goes on the direct rail: it is published after the batch is durable.
///
/// Version 1 listed the id of every record, so that the event grew with the batch; who wants them looks the batch up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "RecordsIngested", version = 2, aggregate = "project", upcast = count_of_ids)]
pub struct RecordsIngested {
    /// Whose they are.
    pub organization_id: OrganizationId,
    /// The project that took them.
    #[aggregate_id]
    pub project_id: ProjectId,
    /// How many records it holds; the same key twice is one record.
    pub record_count: u32,
    /// What the batch is known by where it is stored.
    pub batch: StorageKey,
}

/// A record has not come again for a while. Goes on the direct rail, from the delayed task that noticed: what it tells of is
/// durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "RecordSettled", version = 1, aggregate = "record")]
pub struct RecordSettled {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project that took it.
    pub project_id: ProjectId,
    /// The record.
    #[aggregate_id]
    pub record_id: RecordId,
}

/// Version 1 had `record_ids` where version 2 has `record_count`.
fn count_of_ids(from: u16, mut payload: serde_json::Value) -> Result<serde_json::Value, UpcastError> {
    let refused = |reason: &str| UpcastError {
        from,
        reason: reason.into(),
    };
    let fields = payload.as_object_mut().ok_or_else(|| refused("it is no object"))?;
    let ids = fields.remove("record_ids");
    let count = ids
        .as_ref()
        .and_then(serde_json::Value::as_array)
        .ok_or_else(|| refused("it has no list `record_ids`"))?
        .len();
    fields.insert("record_count".into(), count.into());
    Ok(payload)
}
