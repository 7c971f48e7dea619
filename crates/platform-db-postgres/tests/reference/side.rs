//! One of two tenants: an organization with a row in every table.

use aftercommit_domain::contract::{Cause, OrganizationId, ProjectId, Tenant};
use aftercommit_domain::effects::EmailAddress;
use aftercommit_domain::ids::Ids as _;
use aftercommit_domain::reference::identity::{ApiKey, Membership, Role, SignInLink, User};
use aftercommit_domain::reference::invitations::Invitation;
use aftercommit_domain::reference::organizations::Organization;
use aftercommit_domain::reference::projects::Project;
use aftercommit_domain::reference::requests::{IdempotentRequest, KeptAnswer};
use aftercommit_domain::reference::{
    ApiKeyId, Digest, InvitationId, Name, RecordId, ReferenceUnitOfWork, ReferenceUnitOfWorkFactory as _, RequestId,
    SignInLinkId, UserId,
};
use aftercommit_domain::time::{self, Clock as _, Timestamp};
use uuid::Uuid;

use crate::acts::{Act, act};
use crate::rig::Rig;

/// One of two tenants.
pub(crate) struct Side {
    pub(crate) organization: OrganizationId,
    pub(crate) project: ProjectId,
    pub(crate) user: UserId,
    pub(crate) api_key: ApiKeyId,
    pub(crate) invitation: InvitationId,
    pub(crate) record: RecordId,
    pub(crate) now: Timestamp,
}

impl Side {
    /// Makes it, with a row in every table.
    pub(crate) async fn found(rig: &Rig) -> Self {
        let next = || rig.services.ids.next();
        let side = Self {
            organization: OrganizationId::from(next()),
            project: ProjectId::from(next()),
            user: UserId::from(next()),
            api_key: ApiKeyId::from(next()),
            invitation: InvitationId::from(next()),
            record: RecordId::from(next()),
            now: rig.services.clock.now(),
        };
        let mut uow = rig.reference.begin(&side.tenant(false), &Cause::root()).await.unwrap();
        uow.organizations().insert(&side.its_organization()).await.unwrap();
        uow.projects().insert(&side.default_project()).await.unwrap();
        let user = User {
            id: side.user,
            email: side.email(),
            created_at: side.now,
        };
        assert_eq!(uow.users().ensure(&user).await.unwrap(), (side.user, true));
        let link = side.link(next());
        uow.sign_in_links().insert(&link).await.unwrap();
        uow.api_keys().insert(&side.key(side.api_key)).await.unwrap();
        let invitation = side.invitation(side.invitation);
        uow.invitations().insert(&invitation).await.unwrap();
        side.fill(rig, &mut *uow).await;
        uow.commit().await.unwrap();
        side
    }

    async fn fill(&self, rig: &Rig, uow: &mut dyn ReferenceUnitOfWork) {
        for one in [
            Act::Join,
            Act::AddToken,
            Act::Ingest,
            Act::Index,
            Act::ClaimRequest,
            Act::WriteEvent,
        ] {
            assert!(act(rig, uow, one, self).await.unwrap(), "{one:?}");
        }
    }

    /// Its project, or its whole organization.
    pub(crate) fn tenant(&self, is_whole: bool) -> Tenant {
        if is_whole {
            Tenant::organization(&self.organization)
        } else {
            Tenant::project(&self.organization, &self.project)
        }
    }

    fn its_organization(&self) -> Organization {
        Organization {
            id: self.organization.clone(),
            name: Self::name(),
            created_at: self.now,
        }
    }

    pub(crate) fn default_project(&self) -> Project {
        Project::default_of(&self.its_organization(), self.project.clone())
    }

    pub(crate) fn name() -> Name {
        Name::new("Acme").unwrap()
    }

    fn email(&self) -> EmailAddress {
        EmailAddress::new(format!("{}@example.com", self.user)).unwrap()
    }

    pub(crate) fn key(&self, id: ApiKeyId) -> ApiKey {
        ApiKey {
            id,
            organization_id: self.organization.clone(),
            project_id: self.project.clone(),
            digest: Digest::of(id.to_string()),
            created_at: self.now,
            revoked_at: None,
        }
    }

    pub(crate) fn invitation(&self, id: InvitationId) -> Invitation {
        Invitation {
            id,
            organization_id: self.organization.clone(),
            project_id: self.project.clone(),
            email: self.email(),
            role: Role::Member,
            created_at: self.now,
            expires_at: time::after(self.now, time::days(1)),
            emailed_at: None,
            accepted: None,
            revoked_at: None,
            expired_at: None,
        }
    }

    pub(crate) fn membership(&self) -> Membership {
        Membership {
            organization_id: self.organization.clone(),
            user_id: self.user,
            role: Role::Member,
            joined_at: self.now,
        }
    }

    pub(crate) fn request(&self, key: Uuid) -> IdempotentRequest {
        let organization = Some(self.organization.clone());
        IdempotentRequest::new(organization, "POST /things", &key.to_string(), Digest::of("body")).unwrap()
    }

    /// The id of a request that is to be claimed, and its answer.
    pub(crate) fn claimed_request(&self) -> (RequestId, KeptAnswer) {
        let answer = KeptAnswer {
            key_id: "k1".into(),
            bytes: vec![1],
        };
        (RequestId::from(self.user.uuid()), answer)
    }

    fn link(&self, id: Uuid) -> SignInLink {
        SignInLink {
            id: SignInLinkId::from(id),
            email: self.email(),
            user_id: Some(self.user),
            token: Digest::of(id),
            created_at: self.now,
            expires_at: time::after(self.now, time::days(1)),
            used_at: None,
        }
    }
}
