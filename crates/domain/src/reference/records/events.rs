//! What happens to records.

use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, ProjectId, StorageKey};
use crate::events::DomainEvent;
use crate::reference::RecordId;

/// A batch of records was stored. Goes on the direct rail: it is published after the batch is durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "RecordsIngested", version = 1, aggregate = "project")]
pub struct RecordsIngested {
    /// Whose they are.
    pub organization_id: OrganizationId,
    /// The project that took them.
    #[aggregate_id]
    pub project_id: ProjectId,
    /// The records, each once.
    pub record_ids: Vec<RecordId>,
    /// What the batch is known by where it is stored.
    pub batch: StorageKey,
}
