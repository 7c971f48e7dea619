//! Decides what is to be reported.

use crate::contract::{Cause, Contract};
use crate::reference::billing::{OverageReport, ReportOverage};
use crate::reference::{OverageReportId, Progress, ReferencePorts, ReferenceUnitOfWork, UseCaseError};

/// The report that is pending, or a new one of what is not reported yet, durably before anybody is told: what an attempt that
/// crashed has said is said again, and not something else. A project that was deleted has used it all the same.
///
/// # Errors
/// The store.
pub async fn decide_overage_report(
    ports: &ReferencePorts,
    cause: &Cause,
    task: &ReportOverage,
) -> Result<Progress<OverageReport>, UseCaseError> {
    let mut uow = ports.units.begin(&task.tenant(), cause).await?;
    let report = pending_or_new_report(ports, &mut *uow, task).await?;
    if matches!(report, Progress::Done(_)) {
        uow.commit().await?;
    }
    Ok(report)
}

/// The same within a unit of work, which is to be committed.
pub(in crate::reference) async fn pending_or_new_report(
    ports: &ReferencePorts,
    uow: &mut dyn ReferenceUnitOfWork,
    task: &ReportOverage,
) -> Result<Progress<OverageReport>, UseCaseError> {
    let (project, month) = (&task.project_id, task.month);
    if let Some(pending) = uow.overage_reports().pending(project, month).await? {
        return Ok(Progress::Done(pending));
    }
    let used = uow
        .usage()
        .find(project, month)
        .await?
        .map_or(0, |period| period.records);
    let up_to = used.saturating_sub(ports.settings.included_records);
    let from = uow.overage_reports().reported_up_to(project, month).await?;
    if up_to <= from {
        return Ok(Progress::NotWanted("nothing beyond what is included or was reported"));
    }
    let report = OverageReport {
        id: OverageReportId::new(&*ports.ids),
        organization_id: task.organization_id.clone(),
        project_id: project.clone(),
        month,
        from,
        up_to,
        created_at: ports.now(),
        reported_at: None,
    };
    if !uow.overage_reports().insert(&report).await? {
        return Ok(Progress::NotYet(std::time::Duration::ZERO));
    }
    Ok(Progress::Done(report))
}
