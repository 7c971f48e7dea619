//! Starts workflows with the transactions that make them necessary.

use crate::contract::{Cause, Contract};
use crate::reference::billing::ReportOverage;
use crate::reference::billing::use_cases::pending_or_new_report;
use crate::reference::projects::{Project, ProvisionProject};
use crate::reference::workflows::{BillingOverage, ProjectProvisioning};
use crate::reference::{Progress, ReferencePorts, UseCaseError};
use crate::workflows::WorkflowOutboxExt;

/// Decides what is to be reported, and starts `billing-overage` for it in the same transaction. Run again, it starts the workflow
/// of the report that is pending, which the engine refuses while it runs: one report is one workflow.
///
/// # Errors
/// The store.
pub async fn start_overage_report(
    ports: &ReferencePorts,
    cause: &Cause,
    task: &ReportOverage,
) -> Result<Progress, UseCaseError> {
    let mut uow = ports.units.begin(&task.tenant(), cause).await?;
    let report = match pending_or_new_report(ports, &mut *uow, task).await? {
        Progress::Done(report) => report,
        Progress::NotWanted(reason) => return Ok(Progress::NotWanted(reason)),
        Progress::NotYet(after) => return Ok(Progress::NotYet(after)),
    };
    let input = BillingOverage {
        organization_id: report.organization_id,
        project_id: report.project_id,
        month: report.month,
        report_id: report.id,
    };
    uow.outbox().start(report.id, &input).await?;
    uow.commit().await?;
    Ok(Progress::Done(()))
}

/// Starts `project-provisioning` for a project that is new.
///
/// # Errors
/// The store.
pub async fn start_project_provisioning(
    ports: &ReferencePorts,
    cause: &Cause,
    task: &ProvisionProject,
) -> Result<Progress, UseCaseError> {
    let mut uow = ports.units.begin(&task.tenant(), cause).await?;
    let project = uow.projects().find(&task.project_id).await?.filter(Project::is_live);
    match project {
        None => return Ok(Progress::NotWanted("the project is gone")),
        Some(project) if project.provisioned_at.is_some() => {
            return Ok(Progress::NotWanted("the project was provisioned already"));
        }
        Some(_) => {}
    }
    let input = ProjectProvisioning {
        organization_id: task.organization_id.clone(),
        project_id: task.project_id.clone(),
    };
    uow.outbox().start(&task.project_id, &input).await?;
    uow.commit().await?;
    Ok(Progress::Done(()))
}
