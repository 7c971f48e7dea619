//! Whose work it is: the organization and the project that every contract, key, lock, log line and metric carries.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::contract::PayloadField;

/// Whose work it is. A contract's [`Scope`] decides which of the three it is, so a project without its organization
/// cannot be written down.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Tenant {
    /// A project of an organization: what nearly everything belongs to.
    Project {
        /// The organization.
        organization: OrganizationId,
        /// The project.
        project: ProjectId,
    },
    /// An organization as a whole.
    Organization {
        /// The organization.
        organization: OrganizationId,
    },
    /// The system itself: what happens before there is a tenant, and the ticks of schedules.
    System,
}

/// Which ids a contract carries. The last two only by `#[exempt(organization | system, "reason")]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Organization and project.
    Project,
    /// Organization only.
    Organization,
    /// Neither.
    System,
}

/// A message belongs to another tenant than the unit of work it was written in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} belongs to {got}, but the unit of work was begun for {expected}; begin it for the tenant it writes for"
)]
pub struct TenantMismatch {
    /// What was written.
    pub what: String,
    /// Its tenant.
    pub got: Tenant,
    /// The tenant of the unit of work.
    pub expected: Tenant,
}

impl Tenant {
    /// A project of an organization.
    pub fn project(organization: impl Into<OrganizationId>, project: impl Into<ProjectId>) -> Self {
        Self::Project {
            organization: organization.into(),
            project: project.into(),
        }
    }

    /// An organization as a whole.
    pub fn organization(organization: impl Into<OrganizationId>) -> Self {
        Self::Organization {
            organization: organization.into(),
        }
    }

    /// Which ids it carries.
    pub const fn scope(&self) -> Scope {
        match self {
            Self::Project { .. } => Scope::Project,
            Self::Organization { .. } => Scope::Organization,
            Self::System => Scope::System,
        }
    }

    /// The organization, if it has one.
    pub const fn organization_id(&self) -> Option<&OrganizationId> {
        match self {
            Self::Project { organization, .. } | Self::Organization { organization } => Some(organization),
            Self::System => None,
        }
    }

    /// The project, if it has one.
    pub const fn project_id(&self) -> Option<&ProjectId> {
        match self {
            Self::Project { project, .. } => Some(project),
            Self::Organization { .. } | Self::System => None,
        }
    }

    /// From the two columns or fields a store or an envelope has; a project without an organization is `None`.
    pub fn from_parts(organization: Option<OrganizationId>, project: Option<ProjectId>) -> Option<Self> {
        match (organization, project) {
            (Some(organization), Some(project)) => Some(Self::Project { organization, project }),
            (Some(organization), None) => Some(Self::Organization { organization }),
            (None, None) => Some(Self::System),
            (None, Some(_)) => None,
        }
    }

    /// Whether a unit of work of this tenant may write a message of `other`: its own, a project of its organization,
    /// or a message without a tenant. The system may write for anyone, because a tenant is created that way.
    pub fn may_write_for(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::System, _) | (_, Self::System) => true,
            (Self::Organization { organization }, _) => other.organization_id() == Some(organization),
            (Self::Project { organization, .. }, Self::Organization { organization: of_other }) => {
                organization == of_other
            }
            (Self::Project { .. }, Self::Project { .. }) => self == other,
        }
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project { organization, project } => write!(f, "{organization}/{project}"),
            Self::Organization { organization } => write!(f, "{organization}"),
            Self::System => f.write_str("system"),
        }
    }
}

/// The text is no tenant id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} is 1 to 64 bytes of text without spaces at its ends and without control characters")]
pub struct InvalidTenantId {
    what: &'static str,
}

const MAX_TENANT_ID: usize = 64;

fn checked(text: &str, what: &'static str) -> Result<Arc<str>, InvalidTenantId> {
    let fits = !text.is_empty() && text.len() <= MAX_TENANT_ID && text.trim() == text;
    if fits && !text.chars().any(char::is_control) {
        Ok(Arc::from(text))
    } else {
        Err(InvalidTenantId { what })
    }
}

macro_rules! tenant_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the id as text. `Err` when it is empty, longer than 64 bytes, padded, or has control characters.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidTenantId> {
                checked(text.as_ref(), $what).map(Self)
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id.hyphenated().to_string().into())
            }
        }

        impl From<i64> for $name {
            fn from(id: i64) -> Self {
                Self(id.to_string().into())
            }
        }

        impl From<i32> for $name {
            fn from(id: i32) -> Self {
                Self(id.to_string().into())
            }
        }

        impl From<u64> for $name {
            fn from(id: u64) -> Self {
                Self(id.to_string().into())
            }
        }

        impl From<&Self> for $name {
            fn from(id: &Self) -> Self {
                id.clone()
            }
        }

        impl FromStr for $name {
            type Err = InvalidTenantId;

            fn from_str(text: &str) -> Result<Self, InvalidTenantId> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidTenantId;

            fn try_from(text: &str) -> Result<Self, InvalidTenantId> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidTenantId;

            fn try_from(text: String) -> Result<Self, InvalidTenantId> {
                Self::new(text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::new(text).map_err(serde::de::Error::custom)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl PayloadField for $name {}
    };
}

tenant_id!(
    /// An organization's id: opaque text of 1 to 64 bytes, so that any application's own ids fit.
    OrganizationId,
    "an organization id"
);
tenant_id!(
    /// A project's id: opaque text of 1 to 64 bytes, so that any application's own ids fit.
    ProjectId,
    "a project id"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_id_over_its_limit_is_refused() {
        assert!(OrganizationId::new("x".repeat(64)).is_ok());
        for bad in ["x".repeat(65), String::new(), " a".into(), "a\n".into(), "a\0b".into()] {
            assert!(OrganizationId::new(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_unit_of_work_writes_only_for_its_own_tenant() {
        let a = Tenant::project(1_i64, 10_i64);
        assert!(a.may_write_for(&a));
        assert!(a.may_write_for(&Tenant::organization(1_i64)));
        assert!(!a.may_write_for(&Tenant::project(1_i64, 11_i64)));
        assert!(!a.may_write_for(&Tenant::project(2_i64, 10_i64)));
        assert!(!a.may_write_for(&Tenant::organization(2_i64)));
        assert!(Tenant::organization(1_i64).may_write_for(&a));
        assert!(!Tenant::organization(2_i64).may_write_for(&a));
        assert!(Tenant::System.may_write_for(&a));
    }
}
