//! A project.

use crate::contract::{OrganizationId, ProjectId};
use crate::reference::Name;
use crate::reference::organizations::Organization;
use crate::time::Timestamp;

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// Its name.
    pub name: Name,
    /// Whether it is the one its organization was made with.
    pub is_default: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it got everything a project begins with.
    pub provisioned_at: Option<Timestamp>,
    /// When its first record came.
    pub first_record_at: Option<Timestamp>,
    /// When it was deleted; nothing can be done with it since.
    pub deleted_at: Option<Timestamp>,
}

impl Project {
    /// The default project of a new organization; it has the organization's name until someone gives it another.
    pub fn default_of(organization: &Organization, id: ProjectId) -> Self {
        Self {
            is_default: true,
            ..Self::new(
                id,
                organization.id.clone(),
                organization.name.clone(),
                organization.created_at,
            )
        }
    }

    /// A new project.
    pub const fn new(id: ProjectId, organization_id: OrganizationId, name: Name, created_at: Timestamp) -> Self {
        Self {
            id,
            organization_id,
            name,
            is_default: false,
            created_at,
            provisioned_at: None,
            first_record_at: None,
            deleted_at: None,
        }
    }

    /// Whether it can still be worked with.
    pub const fn is_live(&self) -> bool {
        self.deleted_at.is_none()
    }
}
