//! Makes a project.

use serde::{Deserialize, Serialize};

use crate::contract::ProjectId;
use crate::events::OutboxWriterExt;
use crate::reference::input::Checked;
use crate::reference::projects::{Project, ProjectCreated};
use crate::reference::requests::{Answers, Claim};
use crate::reference::{Caller, Name, ReferencePorts, RequestContext, UseCaseError};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct CreateProject {
    /// Its name.
    pub name: String,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectCreation {
    /// The project.
    pub project_id: ProjectId,
}

/// Makes a project; it is provisioned afterwards.
///
/// # Errors
/// Invalid input naming the field; a used `Idempotency-Key`; the store.
pub async fn create_project(
    ports: &ReferencePorts,
    caller: &Caller,
    request: &RequestContext,
    input: CreateProject,
) -> Result<ProjectCreation, UseCaseError> {
    let mut checked = Checked::default();
    let Some(name) = checked.field("name", Name::new(&input.name)) else {
        return Err(checked.into_invalid().into());
    };
    let project_id = ProjectId::from(ports.ids.next());
    let mut uow = ports
        .units
        .begin(&caller.tenant_of(&project_id), &request.cause)
        .await?;
    let answers = match Answers::claim(ports, &mut *uow, request).await? {
        Claim::First(answers) => answers,
        Claim::Repeated(answer) => return Ok(answer),
    };

    let project = Project::new(project_id.clone(), caller.organization_id.clone(), name, ports.now());
    uow.projects().insert(&project).await?;
    uow.outbox()
        .write(ProjectCreated {
            organization_id: caller.organization_id.clone(),
            project_id: project_id.clone(),
        })
        .await?;

    let answer = ProjectCreation { project_id };
    answers.keep(&mut *uow, &answer).await?;
    uow.commit().await?;
    Ok(answer)
}
