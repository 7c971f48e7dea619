//! Shows an export.

use crate::contract::{Cause, Tenant};
use crate::reference::exports::Export;
use crate::reference::{Caller, ExportId, ReferencePorts, Refusal, UseCaseError};

/// An export of the caller's organization, in whatever state.
///
/// # Errors
/// [`Refusal::NotFound`]; the store.
pub async fn show_export(
    ports: &ReferencePorts,
    caller: &Caller,
    cause: &Cause,
    id: ExportId,
) -> Result<Export, UseCaseError> {
    let tenant = Tenant::organization(&caller.organization_id);
    let mut uow = ports.units.begin(&tenant, cause).await?;
    let found = uow.exports().find(id).await?;
    found.ok_or_else(|| Refusal::NotFound { what: "export" }.into())
}
