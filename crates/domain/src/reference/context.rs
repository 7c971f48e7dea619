//! Who asks, and why.

use crate::contract::{Cause, OrganizationId, ProjectId, Tenant};
use crate::reference::ApiKeyId;
use crate::reference::requests::IdempotentRequest;

/// Who asks: the owner of an API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The organization; everything another organization has does not exist for this caller.
    pub organization_id: OrganizationId,
    /// The project the key was made for; used where a request names none.
    pub project_id: ProjectId,
    /// The key.
    pub api_key_id: ApiKeyId,
}

impl Caller {
    /// The tenant of something in `project` of the caller's organization.
    pub fn tenant_of(&self, project: &ProjectId) -> Tenant {
        Tenant::project(&self.organization_id, project)
    }
}

/// A request, apart from what it asks for.
#[derive(Debug, Clone, Default)]
pub struct RequestContext {
    /// What the events it leads to pass on.
    pub cause: Cause,
    /// Set when the client gave it a key, so that repeating it changes nothing.
    pub idempotent: Option<IdempotentRequest>,
}
