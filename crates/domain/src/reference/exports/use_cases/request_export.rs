//! Asks for an export.

use serde::{Deserialize, Serialize};

use crate::contract::ProjectId;
use crate::reference::exports::{Export, ExportKind, ExportState, RunExport};
use crate::reference::input::Checked;
use crate::reference::projects::Project;
use crate::reference::requests::{Answers, Claim};
use crate::reference::{
    Caller, ExportId, InvalidInput, ReferencePorts, Refusal, RequestContext, UseCaseError, UserId, Wrong,
};
use crate::workflows::WorkflowOutboxExt;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct RequestExport {
    /// The project.
    pub project_id: ProjectId,
    /// What of it: `records`.
    pub kind: String,
    /// Who is told when it is over: a member.
    pub recipient_user_id: String,
}

/// What will be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportRequest {
    /// The export.
    pub export_id: ExportId,
}

/// Keeps the export and starts its workflow, both with one transaction.
///
/// # Errors
/// Invalid input naming the fields, among it a recipient who is no member; [`Refusal::NotFound`] for a project the
/// organization does not have; a used `Idempotency-Key`; the store.
pub async fn request_export(
    ports: &ReferencePorts,
    caller: &Caller,
    request: &RequestContext,
    input: RequestExport,
) -> Result<ExportRequest, UseCaseError> {
    let (kind, recipient_user_id) = input.checked()?;
    let project_id = input.project_id;
    let tenant = caller.tenant_of(&project_id);
    let mut uow = ports.units.begin(&tenant, &request.cause).await?;
    let answers = match Answers::claim(ports, &mut *uow, request).await? {
        Claim::First(answers) => answers,
        Claim::Repeated(answer) => return Ok(answer),
    };
    let project = uow.projects().find(&project_id).await?;
    if !project.as_ref().is_some_and(Project::is_live) {
        return Err(Refusal::NotFound { what: "project" }.into());
    }
    if uow.memberships().find(recipient_user_id).await?.is_none() {
        return Err(InvalidInput::of(RECIPIENT, NO_MEMBER.code, NO_MEMBER.detail).into());
    }
    let export = Export {
        id: ExportId::new(&*ports.ids),
        organization_id: caller.organization_id.clone(),
        project_id: project_id.clone(),
        kind,
        recipient_user_id,
        requested_at: ports.now(),
        state: ExportState::Requested,
    };
    uow.exports().insert(&export).await?;
    let run = RunExport {
        organization_id: caller.organization_id.clone(),
        project_id,
        export_id: export.id,
    };
    uow.outbox().start(export.id, &run).await?;
    let answer = ExportRequest { export_id: export.id };
    answers.keep(&mut *uow, &answer).await?;
    uow.commit().await?;
    Ok(answer)
}

const RECIPIENT: &str = "recipient_user_id";
const NO_MEMBER: Wrong = Wrong::new("no_member", "must be a member of the organization");

impl RequestExport {
    fn checked(&self) -> Result<(ExportKind, UserId), InvalidInput> {
        let mut checked = Checked::default();
        let kind = checked.field("kind", self.kind.parse());
        let recipient = checked.field(RECIPIENT, self.recipient_user_id.parse().map_err(|_| NO_MEMBER));
        kind.zip(recipient).ok_or_else(|| checked.into_invalid())
    }
}
