//! Which workflow: its tenant, its name and a key.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::contract::{InvalidName, OrderKey, OrganizationId, ProjectId, Tenant, WorkflowKey, WorkflowName};

/// Which workflow, on every engine: `organization/project/name/key`. At most one run of it is open at a time.
///
/// As text, `-` stands for a tenant's id that is not there; `/`, `%` and a lone `-` in a tenant's ids are written `%2F`,
/// `%25` and `%2D`, so that one id has one spelling. At most 706 bytes.
///
/// ```
/// use aftercommit_domain::contract::{Tenant, WorkflowKey, WorkflowName};
/// use aftercommit_domain::workflows::WorkflowId;
///
/// const NAME: WorkflowName = WorkflowName::constant("collect-payment");
/// let id = WorkflowId::new(Tenant::project(7_i64, 8_i64), NAME, WorkflowKey::new("9").unwrap());
/// assert_eq!(id.to_string(), "7/8/collect-payment/9");
/// assert_eq!("7/8/collect-payment/9".parse(), Ok(id));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct WorkflowId {
    tenant: Tenant,
    name: WorkflowName,
    key: WorkflowKey,
}

impl WorkflowId {
    /// The workflow `name` of `tenant` that `key` tells from the others.
    pub const fn new(tenant: Tenant, name: WorkflowName, key: WorkflowKey) -> Self {
        Self { tenant, name, key }
    }

    /// Whose it is.
    pub const fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Its name.
    pub const fn name(&self) -> &WorkflowName {
        &self.name
    }

    /// Its key.
    pub const fn key(&self) -> &WorkflowKey {
        &self.key
    }

    /// What is asked of one workflow is done in the order it was asked, but for a signal that came before the workflow ran: the
    /// order key of requests, scoped by tenant as every order key is.
    pub fn order_key(&self) -> OrderKey {
        OrderKey::of(format_args!("{}/{}", self.name, self.key))
    }
}

/// The id that is not there.
const NONE: &str = "-";

fn escaped(part: Option<&str>) -> String {
    match part {
        None => NONE.into(),
        Some(NONE) => "%2D".into(),
        Some(part) => part.replace('%', "%25").replace('/', "%2F"),
    }
}

fn unescaped(part: &str) -> Option<String> {
    (part != NONE).then(|| part.replace("%2D", "-").replace("%2F", "/").replace("%25", "%"))
}

impl fmt::Display for WorkflowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let organization = escaped(self.tenant.organization_id().map(OrganizationId::as_str));
        let project = escaped(self.tenant.project_id().map(ProjectId::as_str));
        write!(f, "{organization}/{project}/{}/{}", self.name, self.key)
    }
}

impl fmt::Debug for WorkflowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for WorkflowId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        const INVALID: InvalidName = InvalidName {
            kind: "a workflow id",
            expected: "organization/project/name/key, such as 7/8/collect-payment/9",
        };
        let mut parts = text.splitn(4, '/');
        let mut part = || parts.next().ok_or(INVALID);
        let (organization, project, name, key) = (part()?, part()?, part()?, part()?);
        let organization = unescaped(organization).map(OrganizationId::try_from).transpose();
        let project = unescaped(project).map(ProjectId::try_from).transpose();
        let tenant = Tenant::from_parts(organization.map_err(|_| INVALID)?, project.map_err(|_| INVALID)?);
        let id = Self::new(tenant.ok_or(INVALID)?, name.parse()?, key.parse()?);
        // One id has one spelling: an escape that was not needed is another text.
        if id.to_string() == text { Ok(id) } else { Err(INVALID) }
    }
}

impl Serialize for WorkflowId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WorkflowId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(tenant: Tenant, key: &str) -> WorkflowId {
        WorkflowId::new(
            tenant,
            WorkflowName::constant("onboarding"),
            WorkflowKey::new(key).unwrap(),
        )
    }

    #[test]
    fn a_workflow_id_has_one_spelling_whatever_its_tenant_is_called() {
        let project = |organization: &str, project: &str| Tenant::Project {
            organization: OrganizationId::new(organization).unwrap(),
            project: ProjectId::new(project).unwrap(),
        };
        for (id, text) in [
            (id(project("7", "8"), "9"), "7/8/onboarding/9"),
            (id(project("a/b", "%2F"), "x/y"), "a%2Fb/%252F/onboarding/x/y"),
            (id(project("-", "a-b"), "-"), "%2D/a-b/onboarding/-"),
            (id(Tenant::organization(7_i64), "9"), "7/-/onboarding/9"),
            (id(Tenant::System, "9"), "-/-/onboarding/9"),
        ] {
            assert_eq!(id.to_string(), text);
            assert_eq!(text.parse(), Ok(id), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_workflow_id_is_refused() {
        let long = format!("7/8/onboarding/{}", "x".repeat(201));
        for bad in [
            "",
            "7/8/onboarding",
            "7/8/Onboarding/9",
            "-/8/onboarding/9",
            "7/8/onboarding/",
            "a%2Db/8/x/9",
            &long,
        ] {
            assert!(bad.parse::<WorkflowId>().is_err(), "{bad}");
        }
    }
}
