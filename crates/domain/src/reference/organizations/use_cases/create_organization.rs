//! Sign-up: an organization with its default project, its owner and a first API key.

use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, ProjectId};
use crate::effects::EmailAddress;
use crate::reference::identity::User;
use crate::reference::input::{Checked, email};
use crate::reference::organizations::use_cases::{Founded, found};
use crate::reference::requests::{Answers, Claim};
use crate::reference::{InvalidInput, Name, ReferencePorts, RequestContext, UseCaseError, UserId};

/// What is asked for.
#[derive(Clone)]
pub struct CreateOrganization {
    /// Its name.
    pub name: String,
    /// Its owner's address; the person is made when unknown.
    pub owner_email: String,
}

/// What was made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrganizationCreation {
    /// The organization.
    pub organization_id: OrganizationId,
    /// Its default project.
    pub project_id: ProjectId,
    /// Its owner.
    pub user_id: UserId,
    /// Its first API key, in clear: shown this once.
    pub api_key: String,
}

/// Makes an organization. Open to everyone.
///
/// # Errors
/// Invalid input naming the fields; a used `Idempotency-Key`; the store.
pub async fn create_organization(
    ports: &ReferencePorts,
    request: &RequestContext,
    input: CreateOrganization,
) -> Result<OrganizationCreation, UseCaseError> {
    let (name, owner_email) = input.checked()?;
    let founded = Founded::new(ports);
    let mut uow = ports.units.begin(&founded.tenant(), &request.cause).await?;
    let answers = match Answers::claim(ports, &mut *uow, request).await? {
        Claim::First(answers) => answers,
        Claim::Repeated(answer) => return Ok(answer),
    };

    let user = User::new(ports, owner_email);
    let (user_id, is_new) = uow.users().ensure(&user).await?;
    let secret = found(ports, &mut *uow, &founded, &name, (user_id, is_new)).await?;

    let answer = OrganizationCreation {
        organization_id: founded.organization_id,
        project_id: founded.project_id,
        user_id,
        api_key: secret.expose().to_owned(),
    };
    answers.keep(&mut *uow, &answer).await?;
    uow.commit().await?;
    Ok(answer)
}

impl CreateOrganization {
    fn checked(&self) -> Result<(Name, EmailAddress), InvalidInput> {
        let mut checked = Checked::default();
        let name = checked.field("name", Name::new(&self.name));
        let owner_email = checked.field("owner_email", email(&self.owner_email));
        name.zip(owner_email).ok_or_else(|| checked.into_invalid())
    }
}
