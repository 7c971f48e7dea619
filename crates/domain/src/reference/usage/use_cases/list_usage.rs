//! Shows the usage of a project.

use crate::contract::{Cause, ProjectId};
use crate::reference::usage::UsagePeriod;
use crate::reference::{Caller, ReferencePorts, Refusal, UseCaseError};

/// Two years.
const MONTHS: u32 = 24;

/// The months of a project, newest first; also of one that was deleted.
///
/// # Errors
/// [`Refusal::NotFound`] for a project the organization never had; the store.
pub async fn list_usage(
    ports: &ReferencePorts,
    caller: &Caller,
    cause: &Cause,
    project_id: &ProjectId,
) -> Result<Vec<UsagePeriod>, UseCaseError> {
    let mut uow = ports.units.begin(&caller.tenant_of(project_id), cause).await?;
    if uow.projects().find(project_id).await?.is_none() {
        return Err(Refusal::NotFound { what: "project" }.into());
    }
    Ok(uow.usage().periods(project_id, MONTHS).await?)
}
