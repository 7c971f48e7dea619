//! What the workflow of an export is started with.

use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, ProjectId};
use crate::reference::ExportId;
use crate::workflows::WorkflowInput;

/// Make the file of an export. Started under the export's id, with the row, and never again: what it left is found by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, WorkflowInput)]
#[workflow(name = "export", version = 1, once_ever)]
pub struct RunExport {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project.
    pub project_id: ProjectId,
    /// The export.
    pub export_id: ExportId,
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_an_export_was_started_with_reads_the_same_in_every_later_build() {
        let run = RunExport {
            organization_id: OrganizationId::new("acme").unwrap(),
            project_id: ProjectId::new("p").unwrap(),
            export_id: ExportId::from(Uuid::from_u128(7)),
        };
        let text = r#"{"organization_id":"acme","project_id":"p","export_id":"00000000-0000-0000-0000-000000000007"}"#;
        assert_eq!(serde_json::to_string(&run).unwrap(), text);
        assert_eq!(serde_json::from_str::<RunExport>(text).unwrap(), run);
        assert_eq!(
            (RunExport::NAME.as_str(), RunExport::REUSE),
            ("export", crate::workflows::IdReuse::OnceEver)
        );
    }
}
