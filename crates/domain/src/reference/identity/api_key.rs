//! What programs call the API with.

use crate::contract::{OrganizationId, ProjectId};
use crate::reference::{ApiKeyId, Caller, Digest};
use crate::time::Timestamp;

/// An API key, as it is kept: without the key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project it was made for; used where a request names none.
    pub project_id: ProjectId,
    /// The digest of the key.
    pub digest: Digest,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stopped working.
    pub revoked_at: Option<Timestamp>,
}

impl ApiKey {
    /// Who calls with it. `None` once it was revoked.
    pub fn caller(self) -> Option<Caller> {
        if self.revoked_at.is_some() {
            return None;
        }
        Some(Caller {
            organization_id: self.organization_id,
            project_id: self.project_id,
            api_key_id: self.id,
        })
    }
}
