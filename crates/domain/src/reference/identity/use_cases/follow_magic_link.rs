//! Follows a magic link.

use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, ProjectId};
use crate::reference::identity::User;
use crate::reference::organizations::use_cases::{Founded, found};
use crate::reference::requests::{Answers, Claim};
use crate::reference::{Name, ReferencePorts, Refusal, RequestContext, Secret, UseCaseError, UserId};

/// The name of the organization someone gets who signs up without an invitation.
const FIRST_ORGANIZATION: &str = "My workspace";

/// Who signed in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// Who.
    pub user_id: UserId,
    /// What was made for them; `None` when they were known.
    #[serde(flatten)]
    pub signed_up: Option<SignUp>,
}

/// What is made for someone who signs up: a place to begin.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignUp {
    /// Their organization.
    pub organization_id: OrganizationId,
    /// Its default project.
    pub project_id: ProjectId,
    /// Its first API key, in clear: shown this once.
    pub api_key: String,
}

/// Signs in whoever has the token of a link that works, once. Someone unknown is made now, with an organization of
/// their own.
///
/// # Errors
/// [`Refusal::LinkNotValid`]; a used `Idempotency-Key`; the store.
pub async fn follow_magic_link(
    ports: &ReferencePorts,
    request: &RequestContext,
    token: &str,
) -> Result<SignIn, UseCaseError> {
    let token = Secret::presented(token).ok_or(Refusal::LinkNotValid)?;
    let name = Name::new(FIRST_ORGANIZATION).map_err(|_| Refusal::LinkNotValid)?;
    let link = ports
        .reader
        .sign_in_link(&token.digest())
        .await?
        .ok_or(Refusal::LinkNotValid)?;

    // Whether someone is new is known only inside the transaction, and an organization is made by a unit of work of its
    // own tenant; so it is begun for the organization that someone new would get.
    let founded = Founded::new(ports);
    let mut uow = ports.units.begin(&founded.tenant(), &request.cause).await?;
    let answers = match Answers::claim(ports, &mut *uow, request).await? {
        Claim::First(answers) => answers,
        Claim::Repeated(answer) => return Ok(answer),
    };
    let now = ports.now();
    if !link.works_at(now) || !uow.sign_in_links().use_up(link.id, now).await? {
        return Err(Refusal::LinkNotValid.into());
    }
    let (user_id, is_new) = uow.users().ensure(&User::new(ports, link.email)).await?;
    let mut signed_up = None;
    if is_new {
        let secret = found(ports, &mut *uow, &founded, &name, (user_id, is_new)).await?;
        signed_up = Some(SignUp {
            organization_id: founded.organization_id,
            project_id: founded.project_id,
            api_key: secret.expose().to_owned(),
        });
    }

    let answer = SignIn { user_id, signed_up };
    answers.keep(&mut *uow, &answer).await?;
    uow.commit().await?;
    Ok(answer)
}
