//! Records that usage was reported.

use crate::contract::{Cause, Tenant};
use crate::reference::billing::OverageReport;
use crate::reference::{ReferencePorts, UseCaseError};

/// Records it, so that it is not reported again.
///
/// # Errors
/// The store; it may then be reported again, under the same key.
pub async fn record_overage_report(
    ports: &ReferencePorts,
    cause: &Cause,
    report: &OverageReport,
) -> Result<(), UseCaseError> {
    let tenant = Tenant::project(&report.organization_id, &report.project_id);
    let mut uow = ports.units.begin(&tenant, cause).await?;
    uow.overage_reports().mark_reported(report.id, ports.now()).await?;
    uow.commit().await?;
    Ok(())
}
