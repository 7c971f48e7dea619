//! One of two tenants: an organization with a row in every table.

use aftercommit_domain::contract::{Cause, OrganizationId, ProjectId, Tenant};
use aftercommit_domain::effects::{EmailAddress, WebhookNetwork, WebhookSecret, WebhookUrl};
use aftercommit_domain::ids::Ids as _;
use aftercommit_domain::reference::billing::{BillingLedgerEntry, OverageReport};
use aftercommit_domain::reference::digests::WeeklyDigest;
use aftercommit_domain::reference::exports::{Export, ExportKind, ExportState};
use aftercommit_domain::reference::identity::{ApiKey, Membership, Role, SignInLink, User};
use aftercommit_domain::reference::incidents::{Incident, IncidentSource};
use aftercommit_domain::reference::invitations::Invitation;
use aftercommit_domain::reference::notifications::{Notification, NotificationKind};
use aftercommit_domain::reference::organizations::Organization;
use aftercommit_domain::reference::projects::Project;
use aftercommit_domain::reference::records::RecordKey;
use aftercommit_domain::reference::requests::{IdempotentRequest, KeptAnswer};
use aftercommit_domain::reference::usage::month_of;
use aftercommit_domain::reference::webhooks::{DeliveryHealth, WebhookEndpoint, WebhookEventKind};
use aftercommit_domain::reference::{
    ApiKeyId, Digest, ExportId, InvitationId, Name, NotificationId, RecordId, ReferenceUnitOfWork,
    ReferenceUnitOfWorkFactory as _, RequestId, SignInLinkId, UserId, WebhookId, WeeklyDigestId,
};
use aftercommit_domain::time::{self, Clock as _, Timestamp};
use chrono::NaiveDate;
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
    pub(crate) webhook: WebhookId,
    pub(crate) record: RecordId,
    pub(crate) notification_id: NotificationId,
    pub(crate) digest_id: WeeklyDigestId,
    pub(crate) export_id: ExportId,
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
            webhook: WebhookId::from(next()),
            record: RecordId::from(next()),
            notification_id: NotificationId::from(next()),
            digest_id: WeeklyDigestId::from(next()),
            export_id: ExportId::from(next()),
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
        uow.webhooks().insert(&side.webhook(side.webhook)).await.unwrap();
        side.fill(rig, &mut *uow).await;
        let notification = side.notification(side.notification_id, "first".into());
        assert!(uow.notifications().insert_if_absent(&notification).await.unwrap());
        let digest = side.digest(side.digest_id.uuid());
        assert!(uow.digests().insert_if_absent(&digest).await.unwrap());
        uow.exports().insert(&side.export(side.export_id)).await.unwrap();
        uow.commit().await.unwrap();
        side
    }

    async fn fill(&self, rig: &Rig, uow: &mut dyn ReferenceUnitOfWork) {
        for one in [
            Act::Join,
            Act::AddToken,
            Act::Ingest,
            Act::Index,
            Act::Report,
            Act::TakeDown,
            Act::OpenIncident,
            Act::Prefer,
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

    pub(crate) fn webhook(&self, id: WebhookId) -> WebhookEndpoint {
        WebhookEndpoint {
            id,
            organization_id: self.organization.clone(),
            project_id: self.project.clone(),
            url: WebhookUrl::parse("https://hooks.example.com/", WebhookNetwork::Public).unwrap(),
            events: vec![WebhookEventKind::ProjectDeleted],
            secret: WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap(),
            created_at: self.now,
            health: DeliveryHealth::default(),
        }
    }

    pub(crate) fn month(&self) -> NaiveDate {
        month_of(self.now)
    }

    pub(crate) fn overage_report(&self, id: Uuid) -> OverageReport {
        OverageReport {
            id: id.into(),
            organization_id: self.organization.clone(),
            project_id: self.project.clone(),
            month: self.month(),
            from: 0,
            up_to: 1,
            created_at: self.now,
            reported_at: None,
        }
    }

    pub(crate) fn ledger_entry(&self, id: Uuid) -> BillingLedgerEntry {
        BillingLedgerEntry {
            idempotency_key: id.to_string(),
            usage: self.overage_report(id).usage(),
            at: self.now,
        }
    }

    pub(crate) fn source() -> IncidentSource {
        IncidentSource::from(RecordKey::new("pump").unwrap())
    }

    pub(crate) fn incident(&self, id: Uuid) -> Incident {
        Incident {
            id: id.into(),
            organization_id: self.organization.clone(),
            project_id: self.project.clone(),
            source: Self::source(),
            record_id: self.record,
            told_at: self.now,
            opened_at: self.now,
            closed: None,
        }
    }

    pub(crate) fn notification(&self, id: NotificationId, key: String) -> Notification {
        Notification {
            id,
            organization_id: self.organization.clone(),
            project_id: self.project.clone(),
            user_id: self.user,
            kind: NotificationKind::IncidentOpened,
            subject_id: self.record.uuid(),
            idempotency_key: key,
            created_at: self.now,
            emailed_at: None,
        }
    }

    pub(crate) fn export(&self, id: ExportId) -> Export {
        Export {
            id,
            organization_id: self.organization.clone(),
            project_id: self.project.clone(),
            kind: ExportKind::Records,
            recipient_user_id: self.user,
            requested_at: self.now,
            state: ExportState::Requested,
        }
    }

    pub(crate) fn digest(&self, id: Uuid) -> WeeklyDigest {
        WeeklyDigest {
            id: id.into(),
            organization_id: self.organization.clone(),
            project_id: self.project.clone(),
            until: self.now,
            records: 1,
            incidents_opened: 0,
            incidents_closed: 0,
            created_at: self.now,
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
