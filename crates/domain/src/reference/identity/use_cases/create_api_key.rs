//! Makes an API key.

use serde::{Deserialize, Serialize};

use crate::contract::ProjectId;
use crate::events::OutboxWriterExt;
use crate::reference::identity::{ApiKey, ApiKeyCreated};
use crate::reference::projects::Project;
use crate::reference::requests::{Answers, Claim};
use crate::reference::{ApiKeyId, Caller, ReferencePorts, Refusal, RequestContext, Secret, UseCaseError};

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct CreateApiKey {
    /// The project it is for; the caller's own when absent.
    pub project_id: Option<ProjectId>,
}

/// What was made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyCreation {
    /// The key's id.
    pub api_key_id: ApiKeyId,
    /// The key in clear: shown this once.
    pub api_key: String,
}

/// Makes an API key of the caller's organization.
///
/// # Errors
/// [`Refusal::NotFound`] for a project the organization does not have; a used `Idempotency-Key`; the store.
pub async fn create_api_key(
    ports: &ReferencePorts,
    caller: &Caller,
    request: &RequestContext,
    input: CreateApiKey,
) -> Result<ApiKeyCreation, UseCaseError> {
    let project_id = input.project_id.unwrap_or_else(|| caller.project_id.clone());
    let mut uow = ports
        .units
        .begin(&caller.tenant_of(&project_id), &request.cause)
        .await?;
    let answers = match Answers::claim(ports, &mut *uow, request).await? {
        Claim::First(answers) => answers,
        Claim::Repeated(answer) => return Ok(answer),
    };
    let project = uow.projects().find(&project_id).await?;
    if !project.as_ref().is_some_and(Project::is_live) {
        return Err(Refusal::NotFound { what: "project" }.into());
    }

    let api_key_id = ApiKeyId::new(&*ports.ids);
    let secret = Secret::api_key(api_key_id, &*ports.randomness);
    let api_key = ApiKey {
        id: api_key_id,
        organization_id: caller.organization_id.clone(),
        project_id: project_id.clone(),
        digest: secret.digest(),
        created_at: ports.now(),
        revoked_at: None,
    };
    uow.api_keys().insert(&api_key).await?;
    uow.outbox()
        .write(ApiKeyCreated {
            organization_id: caller.organization_id.clone(),
            project_id,
            api_key_id,
        })
        .await?;

    let answer = ApiKeyCreation {
        api_key_id,
        api_key: secret.expose().to_owned(),
    };
    answers.keep(&mut *uow, &answer).await?;
    uow.commit().await?;
    Ok(answer)
}
