//! `user-deletion`: whoever is kept is not deleted, and whoever is deleted is gone from everywhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use aftercommit_domain::contract::{Cause, OrganizationId, Tenant};
use aftercommit_domain::effects::EmailAddress;
use aftercommit_domain::events::OutboxWriterExt as _;
use aftercommit_domain::reference::identity::use_cases::{keep_user, request_user_deletion};
use aftercommit_domain::reference::identity::{Membership, Role, UserDeletionRequested};
use aftercommit_domain::reference::organizations::use_cases::{CreateOrganization, create_organization};
use aftercommit_domain::reference::workflows::UserDeletion;
use aftercommit_domain::reference::{
    ReferenceUnitOfWork, ReferenceUnitOfWorkFactory, Refusal, RequestContext, UseCaseError, UserId,
};
use aftercommit_domain::time::days;
use aftercommit_domain::unit_of_work::StoreError;
use aftercommit_domain::workflows::{
    SignalRequest, StartRequest, WorkflowEnd, WorkflowOutboxExt as _, WorkflowRequest, WorkflowStarter, WorkflowStatus,
};
use aftercommit_testkit::{TestServices, WorkflowTrial, try_workflow};
use async_trait::async_trait;
use serde_json::json;

use crate::golden::check_golden;
use crate::world::{World, now};

/// Ada is in two organizations of others and alone in one of her own.
struct Ada {
    world: World,
    id: UserId,
    own: OrganizationId,
    others: OrganizationId,
}

const ADDRESS: &str = "ada@example.com";

impl Ada {
    fn with(world: World) -> Self {
        let own = found(&world, "Ada's", ADDRESS).0;
        let others = found(&world, "Others", "eve@example.com").0;
        let id = now(world.unit().users().find_by_email(&address())).unwrap().unwrap();
        for organization_id in [&world.caller.organization_id, &others] {
            join(&world, id, organization_id);
        }
        world.requests();
        Self { world, id, own, others }
    }

    fn new() -> Self {
        Self::with(World::new())
    }

    /// What the commit asks for that asks for her deletion from everywhere, as no organization's key can.
    fn deletion(&self) -> StartRequest {
        let organization_id = self.world.caller.organization_id.clone();
        let requested = UserDeletionRequested {
            organization_id: organization_id.clone(),
            user_id: self.id,
        };
        let input = UserDeletion {
            organization_id: organization_id.clone(),
            user_id: self.id,
            is_here_only: false,
        };
        let mut uow = self.world.unit_of(&Tenant::organization(organization_id));
        now(uow.outbox().write(requested)).unwrap();
        now(uow.outbox().start(self.id, &input)).unwrap();
        now(uow.commit()).unwrap();
        self.world.start_request()
    }

    /// The same through the key of an organization.
    fn deletion_by_key(&self) -> Result<StartRequest, UseCaseError> {
        let request = RequestContext::default();
        let (ports, caller) = (&self.world.harness.ports, &self.world.caller);
        now(request_user_deletion(ports, caller, &request, self.id))?;
        Ok(self.world.start_request())
    }

    fn join(&self, organization_id: &OrganizationId) {
        join(&self.world, self.id, organization_id);
    }

    fn leave(&self, organization_id: &OrganizationId) {
        let mut uow = self.world.unit_of(&Tenant::organization(organization_id));
        assert!(now(uow.memberships().remove(self.id)).unwrap());
        now(uow.commit()).unwrap();
    }

    fn keep(&self) -> Result<SignalRequest, UseCaseError> {
        let request = RequestContext::default();
        now(keep_user(
            &self.world.harness.ports,
            &self.world.caller,
            &request,
            self.id,
        ))?;
        let mut requests = self.world.requests();
        match (requests.pop(), requests.pop()) {
            (Some(WorkflowRequest::Signal(signal)), None) => Ok(signal),
            other => panic!("no signal: {other:?}"),
        }
    }

    fn left(&self) -> Left {
        let world = &self.world;
        let mut uow = world.unit_of(&Tenant::System);
        let memberships = now(uow.memberships().of_user(self.id, None, 9)).unwrap();
        let user = now(uow.users().find(self.id)).unwrap().unwrap();
        drop(uow);
        let mut uow = world.unit_of(&Tenant::organization(&self.own));
        let own_projects = now(uow.projects().list_live(None, 9)).unwrap().len();
        let own_keys = now(uow.api_keys().count_working()).unwrap();
        Left {
            memberships: memberships.len(),
            roles: memberships.iter().map(|membership| membership.role).collect(),
            has_address: user.email == address(),
            own_projects,
            own_keys,
        }
    }
}

fn address() -> EmailAddress {
    EmailAddress::new(ADDRESS).unwrap()
}

fn join(world: &World, user_id: UserId, organization_id: &OrganizationId) {
    let membership = Membership {
        organization_id: organization_id.clone(),
        user_id,
        role: Role::Admin,
        joined_at: world.harness.ports.now(),
    };
    let mut uow = world.unit_of(&Tenant::organization(organization_id));
    assert!(now(uow.memberships().ensure(&membership)).unwrap());
    now(uow.commit()).unwrap();
}

fn found(world: &World, name: &str, owner: &str) -> (OrganizationId, UserId) {
    let input = CreateOrganization {
        name: name.into(),
        owner_email: owner.into(),
    };
    let request = RequestContext::default();
    let made = now(create_organization(&world.harness.ports, &request, input)).unwrap();
    (made.organization_id, made.user_id)
}

/// What is left of Ada.
#[derive(Debug, PartialEq)]
struct Left {
    memberships: usize,
    roles: Vec<Role>,
    has_address: bool,
    own_projects: usize,
    own_keys: u64,
}

impl Left {
    fn everything(ada: &Ada) -> Self {
        let left = ada.left();
        assert_eq!(
            (left.memberships, left.has_address, left.own_projects, left.own_keys),
            (3, true, 1, 1)
        );
        left
    }

    const NOTHING: Self = Self {
        memberships: 0,
        roles: vec![],
        has_address: false,
        own_projects: 0,
        own_keys: 0,
    };
}

fn deleted() -> WorkflowEnd {
    WorkflowEnd::Completed(json!({"left": 2, "closed": 1}))
}

fn trial(services: &TestServices, is_kept: bool) -> WorkflowTrial<Left> {
    let ada = Ada::with(World::with(services));
    let before = Left::everything(&ada);
    let start = ada.deletion();
    WorkflowTrial {
        registry: ada.world.registry(),
        start,
        signals: if is_kept { vec![ada.keep().unwrap()] } else { vec![] },
        effects: Box::new(move || ada.left()),
        may_be_cancelled_so: Box::new(move |end, left| *end == WorkflowEnd::Cancelled && *left == before),
    }
}

#[tokio::test]
async fn a_person_is_deleted_or_kept_as_a_whole_whatever_goes_wrong_wherever() {
    let report = try_workflow(|services| trial(services, false)).await;
    assert!(report.places >= 8 && report.attempts >= 6, "{report:?}");
    let report = try_workflow(|services| trial(services, true)).await;
    assert_eq!(report.attempts, 0, "{report:?}");
}

#[tokio::test]
async fn whoever_says_keep_during_the_grace_is_not_deleted() {
    let ada = Ada::new();
    let (start, engine) = (ada.deletion(), ada.world.engine());
    let (id, before) = (start.id.clone(), Left::everything(&ada));
    engine.start(start).await.unwrap();
    engine.advance(days(29)).await;
    engine.signal(ada.keep().unwrap()).await.unwrap();
    engine.advance(days(60)).await;
    let description = engine.run_to_end(&id).await.unwrap();
    assert_eq!(description.summary.status, WorkflowStatus::Cancelled);
    assert_eq!(ada.left(), before);
}

#[tokio::test]
async fn after_the_grace_a_person_is_gone_from_everywhere_and_what_was_theirs_alone_is_closed() {
    let ada = Ada::new();
    let (start, engine) = (ada.deletion(), ada.world.engine());
    let (id, before) = (start.id.clone(), Left::everything(&ada));
    engine.start(start).await.unwrap();
    engine.advance(days(29)).await;
    assert_eq!(ada.left(), before);
    engine.advance(days(2)).await;
    let description = engine.run_to_end(&id).await.unwrap();
    assert_eq!(description.end, Some(deleted()));
    assert_eq!(ada.left(), Left::NOTHING);
    let events = now(ada.world.harness.take_events());
    let names: Vec<_> = events.iter().map(|event| event.name.to_string()).collect();
    for (name, count) in [
        ("MemberLeft", 3),
        ("ProjectDeleted", 1),
        ("ApiKeyRevoked", 1),
        ("UserDeleted", 1),
    ] {
        assert_eq!(
            names.iter().filter(|known| *known == name).count(),
            count,
            "{name}: {names:?}"
        );
    }
}

/// A store that refuses the next units of work of one organization.
struct RefusesOne {
    inner: Arc<dyn ReferenceUnitOfWorkFactory>,
    refused: OrganizationId,
    times: AtomicI32,
}

#[async_trait]
impl ReferenceUnitOfWorkFactory for RefusesOne {
    async fn begin(&self, tenant: &Tenant, cause: &Cause) -> Result<Box<dyn ReferenceUnitOfWork>, StoreError> {
        if tenant.organization_id() == Some(&self.refused) && self.times.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Err(StoreError::Refused {
                operation: "begin",
                reason: "told to".into(),
            });
        }
        self.inner.begin(tenant, cause).await
    }
}

#[tokio::test]
async fn when_one_organization_cannot_be_left_for_good_every_membership_is_given_back() {
    // Refused once, the last organization cannot be left; refused twice, what was to be undone there cannot be either, and the
    // others get their member back all the same.
    for (times, kind) in [(1, "store.refused"), (2, "compensation.failed")] {
        let ada = Ada::new();
        let (start, before) = (ada.deletion(), Left::everything(&ada));
        let mut refusing = ada.world.clone();
        refusing.harness.ports.units = Arc::new(RefusesOne {
            inner: Arc::clone(&ada.world.harness.ports.units),
            refused: ada.others.clone(),
            times: AtomicI32::new(times),
        });
        let WorkflowEnd::Failed(failure) = refusing.run(start).await else {
            panic!("it cannot be left");
        };
        assert_eq!(failure.kind, kind, "{failure}");
        assert_eq!(ada.left(), before);
    }
}

#[tokio::test]
async fn the_history_of_a_deletion_is_replayed() {
    let ada = Ada::new();
    let start = ada.deletion();
    check_golden("user_deletion_1", &ada.world, start).await;
}

#[tokio::test]
async fn through_the_key_of_one_organization_nobody_is_deleted_who_is_in_others_too() {
    let ada = Ada::new();
    let before = Left::everything(&ada);
    let refused = ada.deletion_by_key();
    assert!(
        matches!(refused, Err(UseCaseError::Refused(Refusal::InOtherOrganizations))),
        "{refused:?}"
    );
    assert_eq!((ada.world.requests(), ada.left()), (vec![], before));
    ada.leave(&ada.own);
    assert!(ada.deletion_by_key().is_err(), "she is in one other");
}

#[tokio::test]
async fn whoever_is_in_the_asking_organization_only_is_deleted_and_forgotten() {
    let ada = Ada::new();
    ada.leave(&ada.own);
    ada.leave(&ada.others);
    let end = ada.world.run(ada.deletion_by_key().unwrap()).await;
    assert_eq!(end, WorkflowEnd::Completed(json!({"left": 1, "closed": 0})));
    let left = ada.left();
    assert_eq!((left.memberships, left.has_address), (0, false));
}

#[tokio::test]
async fn whoever_joins_others_during_the_grace_stays_there_and_is_not_forgotten() {
    let ada = Ada::new();
    let before = Left::everything(&ada);
    ada.leave(&ada.own);
    ada.leave(&ada.others);
    let (start, engine) = (ada.deletion_by_key().unwrap(), ada.world.engine());
    let id = start.id.clone();
    engine.start(start).await.unwrap();
    engine.advance(days(29)).await;
    ada.join(&ada.own);
    ada.join(&ada.others);
    let end = engine.run_to_end(&id).await.unwrap().end;
    assert_eq!(end, Some(WorkflowEnd::Completed(json!({"left": 1, "closed": 0}))));
    let left = ada.left();
    assert_eq!((left.memberships, left.has_address), (2, true));
    assert_eq!(
        (left.own_projects, left.own_keys),
        (before.own_projects, before.own_keys)
    );
    let mut uow = ada.world.unit();
    let membership = now(uow.memberships().find(ada.id)).unwrap();
    assert_eq!(membership, None, "the asking one is left");
}

#[tokio::test]
async fn nobody_is_deleted_or_kept_who_is_no_member_of_the_callers_organization() {
    let ada = Ada::new();
    let stranger = found(&ada.world, "Strangers", "sam@example.com").1;
    ada.world.requests();
    let request = RequestContext::default();
    let (ports, caller) = (&ada.world.harness.ports, &ada.world.caller);
    for result in [
        now(request_user_deletion(ports, caller, &request, stranger)),
        now(keep_user(ports, caller, &request, stranger)),
    ] {
        assert!(matches!(result, Err(UseCaseError::Refused(_))), "{result:?}");
    }
    assert_eq!(ada.world.requests(), []);
}
