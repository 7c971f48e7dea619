//! Looks records up by what they say.

use serde::Serialize;

use crate::contract::{Cause, ProjectId};
use crate::reference::projects::Project;
use crate::reference::search::SearchText;
use crate::reference::{Caller, InvalidInput, RecordId, ReferencePorts, Refusal, UseCaseError};

/// How many records are answered at most.
const MOST_FOUND: u32 = 100;
/// The longest text that is looked for, in bytes.
const MAX_QUERY: usize = 200;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FoundRecords {
    /// The records, the latest indexed first; at most 100.
    pub record_ids: Vec<RecordId>,
}

/// The records of the project that say `query`, whatever its case. The index is as old as the product's pace makes it.
///
/// # Errors
/// Invalid input for a text that is empty or too long; [`Refusal::NotFound`] for a project the organization does not have; the
/// store.
pub async fn search_records(
    ports: &ReferencePorts,
    caller: &Caller,
    cause: &Cause,
    project_id: &ProjectId,
    query: &str,
) -> Result<FoundRecords, UseCaseError> {
    let text = SearchText::new(query);
    if query.len() > MAX_QUERY || text.as_str().is_empty() {
        return Err(InvalidInput::of("q", "wrong_length", "must be 1 to 200 bytes of text").into());
    }
    let mut uow = ports.units.begin(&caller.tenant_of(project_id), cause).await?;
    let project = uow.projects().find(project_id).await?;
    if !project.as_ref().is_some_and(Project::is_live) {
        return Err(Refusal::NotFound { what: "project" }.into());
    }
    let record_ids = uow.search_index().search(project_id, &text, MOST_FOUND).await?;
    Ok(FoundRecords { record_ids })
}
