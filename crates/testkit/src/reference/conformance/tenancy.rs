//! Commits, roll-backs and tenants.

use aftercommit_domain::contract::Tenant;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::reference::projects::Project;
use aftercommit_domain::reference::requests::KeptAnswer;
use aftercommit_domain::reference::{ApiKeyId, Digest, InvitationId, RequestId, UserId};
use aftercommit_domain::unit_of_work::StoreError;

use super::identity::{api_key, membership, sign_in_link, user};
use super::invitations::invitation;
use super::{ReferenceStores, at, id, organization, project_id, tenant};

pub async fn rows_are_seen_after_the_commit_and_not_before(stores: &ReferenceStores) {
    stores.found(1).await;
    let mut writing = stores.begin(&tenant(1)).await;
    writing.api_keys().insert(&api_key(1, 1)).await.unwrap();
    let digest = api_key(1, 1).digest;
    assert_eq!(stores.reader.api_key(&digest).await.unwrap(), None);
    writing.commit().await.unwrap();
    assert_eq!(stores.reader.api_key(&digest).await.unwrap(), Some(api_key(1, 1)));
}

pub async fn nothing_is_kept_of_a_unit_of_work_that_is_dropped(stores: &ReferenceStores) {
    let mut dropped = stores.begin(&tenant(1)).await;
    dropped.organizations().insert(&organization(1)).await.unwrap();
    dropped.users().ensure(&user(1)).await.unwrap();
    drop(dropped);

    let mut uow = stores.begin(&tenant(1)).await;
    assert_eq!(uow.organizations().find().await.unwrap(), None);
    assert_eq!(uow.users().find(user(1).id).await.unwrap(), None);
}

pub async fn rows_of_another_organization_are_not_found(stores: &ReferenceStores) {
    fill(stores).await;
    let mut other = stores.begin(&tenant(2)).await;
    assert_eq!(other.organizations().find().await.unwrap(), Some(organization(2)));
    assert_eq!(other.projects().find(&project_id(1)).await.unwrap(), None);
    assert_eq!(other.invitations().find(InvitationId::from(id(1))).await.unwrap(), None);
    assert_eq!(other.memberships().find(UserId::from(id(1))).await.unwrap(), None);
    assert_eq!(other.api_keys().find(ApiKeyId::from(id(1))).await.unwrap(), None);
    assert_eq!(other.api_keys().count_working().await.unwrap(), 0);
    drop(other);

    let mut nobody = stores.begin(&Tenant::System).await;
    assert_eq!(nobody.organizations().find().await.unwrap(), None);
    assert_eq!(nobody.projects().find(&project_id(1)).await.unwrap(), None);
}

pub async fn rows_of_another_organization_are_not_changed(stores: &ReferenceStores) {
    fill(stores).await;
    let mut other = stores.begin(&tenant(2)).await;
    let (invitation_id, token) = (InvitationId::from(id(1)), Digest::of("token"));
    assert!(!other.projects().mark_deleted(&project_id(1), at(5)).await.unwrap());
    assert!(!other.projects().mark_first_record(&project_id(1), at(5)).await.unwrap());
    assert!(!other.invitations().revoke(invitation_id, at(5)).await.unwrap());
    assert!(
        !other
            .invitations()
            .accept(invitation_id, UserId::from(id(1)), at(5))
            .await
            .unwrap()
    );
    assert!(!other.invitations().record_emailed(invitation_id, at(5)).await.unwrap());
    assert!(!other.invitations().has_token(invitation_id, &token).await.unwrap());
    assert!(!other.api_keys().revoke(ApiKeyId::from(id(1)), at(5)).await.unwrap());
    assert_eq!(other.records().purge(&project_id(1), 10).await.unwrap(), 0);
    other.commit().await.unwrap();
    check_unchanged(stores).await;
}

pub async fn a_change_that_must_find_its_row_and_finds_none_under_its_tenant_is_an_error(stores: &ReferenceStores) {
    fill(stores).await;
    let (invitation_id, task) = (InvitationId::from(id(1)), MessageId::from(id(70)));
    for tenant in [tenant(2), Tenant::System] {
        // Not that it was sent, and not that another task sends it: either would be taken for done.
        let mut other = stores.begin(&tenant).await;
        let claim = other.invitations().claim_email(invitation_id, task, at(5), at(0)).await;
        assert!(
            matches!(claim, Err(StoreError::Refused { .. })),
            "{tenant:?}: {claim:?}"
        );
        drop(other);
        let mut other = stores.begin(&tenant).await;
        let token = other
            .invitations()
            .add_token(invitation_id, &Digest::of("theirs"), at(5), 1)
            .await;
        assert!(
            matches!(token, Err(StoreError::Refused { .. })),
            "{tenant:?}: {token:?}"
        );
        drop(other);
        let mut other = stores.begin(&tenant).await;
        let answer = KeptAnswer {
            key_id: "k1".into(),
            bytes: vec![1],
        };
        let kept = other.requests().keep_answer(RequestId::from(id(1)), &answer).await;
        assert!(matches!(kept, Err(StoreError::Refused { .. })), "{tenant:?}: {kept:?}");
    }
    check_unchanged(stores).await;
}

pub async fn what_is_stored_comes_back_unchanged(stores: &ReferenceStores) {
    fill(stores).await;
    check_unchanged(stores).await;
}

/// One row of each kind in organization 1, and organization 2 with nothing but its project.
async fn fill(stores: &ReferenceStores) {
    stores.found(1).await;
    stores.found(2).await;
    let mut uow = stores.begin(&tenant(1)).await;
    uow.users().ensure(&user(1)).await.unwrap();
    uow.memberships().ensure(&membership(1, 1)).await.unwrap();
    uow.api_keys().insert(&api_key(1, 1)).await.unwrap();
    uow.invitations().insert(&invitation(1, 1)).await.unwrap();
    uow.invitations()
        .add_token(InvitationId::from(id(1)), &Digest::of("token"), at(1), 8)
        .await
        .unwrap();
    uow.sign_in_links().insert(&sign_in_link(1)).await.unwrap();
    uow.commit().await.unwrap();
}

async fn check_unchanged(stores: &ReferenceStores) {
    let mut uow = stores.begin(&tenant(1)).await;
    assert_eq!(uow.organizations().find().await.unwrap(), Some(organization(1)));
    let project = Project::default_of(&organization(1), project_id(1));
    assert_eq!(uow.projects().find(&project_id(1)).await.unwrap(), Some(project));
    assert_eq!(uow.users().find(user(1).id).await.unwrap(), Some(user(1)));
    assert_eq!(
        uow.memberships().find(user(1).id).await.unwrap(),
        Some(membership(1, 1))
    );
    assert_eq!(
        uow.api_keys().find(ApiKeyId::from(id(1))).await.unwrap(),
        Some(api_key(1, 1))
    );
    let kept = uow.invitations().find(InvitationId::from(id(1))).await.unwrap();
    assert_eq!(kept, Some(invitation(1, 1)));
    let link = sign_in_link(1);
    assert_eq!(uow.sign_in_links().find(link.id).await.unwrap(), Some(link));
    drop(uow);

    let of_invitation = stores.reader.tenant_of_invitation(InvitationId::from(id(1))).await;
    assert_eq!(of_invitation.unwrap(), Some(tenant(1)));
    let unknown = stores.reader.tenant_of_invitation(InvitationId::from(id(99))).await;
    assert_eq!(unknown.unwrap(), None);
}
