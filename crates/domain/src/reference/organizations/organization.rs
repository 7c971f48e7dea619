//! An organization.

use crate::contract::OrganizationId;
use crate::reference::Name;
use crate::time::Timestamp;

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// Its name.
    pub name: Name,
    /// When it was made.
    pub created_at: Timestamp,
}
