//! Everything an organization begins with: itself, its default project, its owner and a first API key.

use crate::contract::{OrganizationId, ProjectId, Tenant};
use crate::events::OutboxWriterExt;
use crate::reference::identity::{ApiKey, ApiKeyCreated, MemberJoined, Membership, Role, UserSignedUp};
use crate::reference::organizations::{Organization, OrganizationCreated};
use crate::reference::projects::{Project, ProjectCreated};
use crate::reference::{ApiKeyId, Name, ReferencePorts, ReferenceUnitOfWork, Secret, UseCaseError, UserId};

/// The ids of an organization that is being made.
pub(in crate::reference) struct Founded {
    pub(in crate::reference) organization_id: OrganizationId,
    pub(in crate::reference) project_id: ProjectId,
}

impl Founded {
    /// New ids.
    pub(in crate::reference) fn new(ports: &ReferencePorts) -> Self {
        Self {
            organization_id: OrganizationId::from(ports.ids.next()),
            project_id: ProjectId::from(ports.ids.next()),
        }
    }

    /// Whose unit of work makes it.
    pub(in crate::reference) fn tenant(&self) -> Tenant {
        Tenant::project(&self.organization_id, &self.project_id)
    }
}

/// Makes the organization, its default project and its owner's membership, and answers its first API key.
pub(in crate::reference) async fn found(
    ports: &ReferencePorts,
    uow: &mut dyn ReferenceUnitOfWork,
    founded: &Founded,
    name: &Name,
    owner: (UserId, bool),
) -> Result<Secret, UseCaseError> {
    let now = ports.now();
    let (organization_id, project_id) = (founded.organization_id.clone(), founded.project_id.clone());
    let organization = Organization {
        id: organization_id.clone(),
        name: name.clone(),
        created_at: now,
    };
    uow.organizations().insert(&organization).await?;
    uow.outbox()
        .write(OrganizationCreated {
            organization_id: organization_id.clone(),
            project_id: project_id.clone(),
        })
        .await?;

    uow.projects()
        .insert(&Project::default_of(&organization, project_id.clone()))
        .await?;
    uow.outbox()
        .write(ProjectCreated {
            organization_id: organization_id.clone(),
            project_id: project_id.clone(),
        })
        .await?;

    let (user_id, is_new) = owner;
    if is_new {
        uow.outbox()
            .write(UserSignedUp {
                organization_id: organization_id.clone(),
                project_id: project_id.clone(),
                user_id,
            })
            .await?;
    }
    let membership = Membership {
        organization_id: organization_id.clone(),
        user_id,
        role: Role::Owner,
        joined_at: now,
    };
    uow.memberships().ensure(&membership).await?;
    uow.outbox()
        .write(MemberJoined {
            organization_id: organization_id.clone(),
            project_id: project_id.clone(),
            user_id,
            role: Role::Owner,
        })
        .await?;

    let api_key_id = ApiKeyId::new(&*ports.ids);
    let secret = Secret::api_key(api_key_id, &*ports.randomness);
    let api_key = ApiKey {
        id: api_key_id,
        organization_id: organization_id.clone(),
        project_id: project_id.clone(),
        digest: secret.digest(),
        created_at: now,
        revoked_at: None,
    };
    uow.api_keys().insert(&api_key).await?;
    uow.outbox()
        .write(ApiKeyCreated {
            organization_id,
            project_id,
            api_key_id,
        })
        .await?;
    Ok(secret)
}
