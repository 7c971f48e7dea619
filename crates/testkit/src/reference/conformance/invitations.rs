//! Invitations, their e-mails and their tokens.

use aftercommit_domain::effects::EmailAddress;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::reference::identity::Role;
use aftercommit_domain::reference::invitations::{EmailClaim, Invitation};
use aftercommit_domain::reference::{Digest, InvitationId, UserId};

use super::identity::user;
use super::{ReferenceStores, at, id, organization_id, project_id, tenant};

pub async fn an_invitation_is_accepted_revoked_or_expired_once(stores: &ReferenceStores) {
    stores.found(1).await;
    let mut uow = stores.begin(&tenant(1)).await;
    uow.users().ensure(&user(1)).await.unwrap();
    for n in 1..=3 {
        uow.invitations().insert(&invitation(1, n)).await.unwrap();
    }
    let [accepted, revoked, expired] = [1, 2, 3].map(|n| InvitationId::from(id(n)));
    let person = UserId::from(id(1));
    assert!(uow.invitations().accept(accepted, person, at(1)).await.unwrap());
    assert!(uow.invitations().revoke(revoked, at(2)).await.unwrap());
    assert!(uow.invitations().expire(expired, at(3)).await.unwrap());
    for decided in [accepted, revoked, expired, InvitationId::from(id(99))] {
        assert!(!uow.invitations().accept(decided, person, at(9)).await.unwrap());
        assert!(!uow.invitations().revoke(decided, at(9)).await.unwrap());
        assert!(!uow.invitations().expire(decided, at(9)).await.unwrap());
    }
    uow.commit().await.unwrap();
    let mut uow = stores.begin(&tenant(1)).await;
    let kept = uow.invitations().find(accepted).await.unwrap().unwrap();
    assert_eq!(kept.accepted, Some((person, at(1))));
    let kept = uow.invitations().find(revoked).await.unwrap().unwrap();
    assert_eq!(kept.revoked_at, Some(at(2)));
    let kept = uow.invitations().find(expired).await.unwrap().unwrap();
    assert_eq!(kept.expired_at, Some(at(3)));
}

pub async fn an_open_invitation_is_prolonged_and_a_decided_one_is_not(stores: &ReferenceStores) {
    stores.found(1).await;
    let mut uow = stores.begin(&tenant(1)).await;
    uow.invitations().insert(&invitation(1, 1)).await.unwrap();
    let invitation_id = InvitationId::from(id(1));
    assert!(uow.invitations().prolong(invitation_id, at(90_000)).await.unwrap());
    let kept = uow.invitations().find(invitation_id).await.unwrap().unwrap();
    assert_eq!(kept.expires_at, at(90_000));
    assert!(uow.invitations().expire(invitation_id, at(90_001)).await.unwrap());
    for decided in [invitation_id, InvitationId::from(id(99))] {
        assert!(!uow.invitations().prolong(decided, at(99_000)).await.unwrap());
    }
}

pub async fn an_email_is_claimed_by_one_task_until_its_claim_is_stale(stores: &ReferenceStores) {
    let (one, other) = (MessageId::from(id(71)), MessageId::from(id(72)));
    stores.found(1).await;
    let mut uow = stores.begin(&tenant(1)).await;
    let invitation_id = InvitationId::from(id(1));
    uow.invitations().insert(&invitation(1, 1)).await.unwrap();
    let mut claim = async |task, now, stale_before| {
        uow.invitations()
            .claim_email(invitation_id, task, at(now), at(stale_before))
            .await
            .unwrap()
    };
    assert_eq!(claim(one, 10, 0).await, EmailClaim::Claimed);
    assert_eq!(
        claim(one, 11, 0).await,
        EmailClaim::Claimed,
        "a redelivered task goes on"
    );
    assert_eq!(claim(other, 12, 11).await, EmailClaim::HeldByAnother);
    assert_eq!(
        claim(other, 13, 12).await,
        EmailClaim::Claimed,
        "a stale claim holds nobody up"
    );
    assert_eq!(claim(one, 14, 12).await, EmailClaim::HeldByAnother);
}

pub async fn an_email_that_was_sent_cannot_be_claimed(stores: &ReferenceStores) {
    stores.found(1).await;
    let mut uow = stores.begin(&tenant(1)).await;
    let invitation_id = InvitationId::from(id(1));
    uow.invitations().insert(&invitation(1, 1)).await.unwrap();
    assert!(uow.invitations().record_emailed(invitation_id, at(5)).await.unwrap());
    assert!(!uow.invitations().record_emailed(invitation_id, at(6)).await.unwrap());
    let claim = uow
        .invitations()
        .claim_email(invitation_id, MessageId::from(id(71)), at(7), at(7))
        .await
        .unwrap();
    assert_eq!(claim, EmailClaim::AlreadySent);
    let kept = uow.invitations().find(invitation_id).await.unwrap().unwrap();
    assert_eq!(kept.emailed_at, Some(at(5)));
}

pub async fn every_token_of_an_invitation_works_up_to_its_limit(stores: &ReferenceStores) {
    stores.found(1).await;
    let mut uow = stores.begin(&tenant(1)).await;
    let (one, other) = (InvitationId::from(id(1)), InvitationId::from(id(2)));
    uow.invitations().insert(&invitation(1, 1)).await.unwrap();
    uow.invitations().insert(&invitation(1, 2)).await.unwrap();
    for n in 0..4_u64 {
        let token = Digest::of(format!("token {n}"));
        uow.invitations().add_token(one, &token, at(n), 3).await.unwrap();
    }
    let mut works = Vec::new();
    for n in 0..4 {
        let token = Digest::of(format!("token {n}"));
        works.push(uow.invitations().has_token(one, &token).await.unwrap());
        assert!(!uow.invitations().has_token(other, &token).await.unwrap());
    }
    assert_eq!(works, [false, true, true, true]);
}

pub(super) fn invitation(organization: u128, n: u128) -> Invitation {
    Invitation {
        id: InvitationId::from(id(n)),
        organization_id: organization_id(organization),
        project_id: project_id(organization),
        email: EmailAddress::new(format!("guest{n}@example.com")).unwrap(),
        role: Role::Member,
        created_at: at(0),
        expires_at: at(86_400),
        emailed_at: None,
        accepted: None,
        revoked_at: None,
        expired_at: None,
    }
}
