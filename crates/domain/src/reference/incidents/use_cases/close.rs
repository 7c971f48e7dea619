//! Closes an incident and tells of it, in the caller's unit of work.

use crate::events::OutboxWriterExt;
use crate::reference::incidents::{Incident, IncidentClosed};
use crate::reference::{ReferencePorts, ReferenceUnitOfWork, UseCaseError};
use crate::time::Timestamp;

/// Answers whether this call closed it.
pub(super) async fn close(
    ports: &ReferencePorts,
    uow: &mut dyn ReferenceUnitOfWork,
    incident: &Incident,
    told_at: Timestamp,
) -> Result<bool, UseCaseError> {
    if !uow.incidents().close(incident.id, ports.now(), told_at).await? {
        return Ok(false);
    }
    uow.outbox()
        .write(IncidentClosed {
            organization_id: incident.organization_id.clone(),
            project_id: incident.project_id.clone(),
            incident_id: incident.id,
        })
        .await?;
    Ok(true)
}
