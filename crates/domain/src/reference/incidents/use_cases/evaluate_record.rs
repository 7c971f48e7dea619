//! Opens or closes an incident because of a record.

use crate::contract::{Cause, Contract};
use crate::events::OutboxWriterExt;
use crate::reference::incidents::use_cases::close;
use crate::reference::incidents::{
    EvaluateRecord, Evaluation, Incident, IncidentOpened, IncidentSource, Severity, evaluate,
};
use crate::reference::projects::Project;
use crate::reference::{IncidentId, Progress, ReferencePorts, UseCaseError};

/// Does what the record means now, and tells of it in the same transaction. Run again, or beside another one of its source, it
/// does it once.
///
/// # Errors
/// The store.
pub async fn evaluate_record(
    ports: &ReferencePorts,
    cause: &Cause,
    task: &EvaluateRecord,
) -> Result<Progress, UseCaseError> {
    let mut uow = ports.units.begin(&task.tenant(), cause).await?;
    let project = uow.projects().find(&task.project_id).await?;
    if !project.as_ref().is_some_and(Project::is_live) {
        return Ok(Progress::NotWanted("the project is gone"));
    }
    let Some(record) = uow.records().find(&task.project_id, task.record_id).await? else {
        return Ok(Progress::NotWanted("the record is gone"));
    };
    let (severity, source) = (Severity::of(&record.body), IncidentSource::of(&record));
    let latest = uow.incidents().latest(&task.project_id, &source).await?;
    let has_changed = match (evaluate(severity, record.received_at, latest.as_ref()), &latest) {
        (Evaluation::Nothing(reason), _) => return Ok(Progress::NotWanted(reason)),
        (Evaluation::Open, _) => {
            let incident = Incident {
                id: IncidentId::new(&*ports.ids),
                organization_id: task.organization_id.clone(),
                project_id: task.project_id.clone(),
                source,
                record_id: record.id,
                told_at: record.received_at,
                opened_at: ports.now(),
                closed: None,
            };
            let is_opened = uow.incidents().open(&incident).await?;
            if is_opened {
                uow.outbox()
                    .write(IncidentOpened {
                        organization_id: task.organization_id.clone(),
                        project_id: task.project_id.clone(),
                        incident_id: incident.id,
                    })
                    .await?;
            }
            is_opened
        }
        (Evaluation::Close(_), Some(incident)) => close(ports, &mut *uow, incident, record.received_at).await?,
        (Evaluation::Close(_), None) => false,
    };
    if !has_changed {
        return Ok(Progress::NotWanted("another record of the source came first"));
    }
    uow.commit().await?;
    Ok(Progress::Done(()))
}
