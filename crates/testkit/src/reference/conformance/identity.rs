//! People, memberships, API keys and sign-in links.

use aftercommit_domain::contract::Tenant;
use aftercommit_domain::effects::EmailAddress;
use aftercommit_domain::reference::identity::{ApiKey, Membership, Role, SignInLink, User};
use aftercommit_domain::reference::{ApiKeyId, Digest, SignInLinkId, UserId};

use super::{ReferenceStores, at, id, organization_id, project_id, tenant};

pub async fn an_address_belongs_to_one_person_whatever_its_case(stores: &ReferenceStores) {
    let mut uow = stores.begin(&Tenant::System).await;
    let first = user(1);
    assert_eq!(uow.users().ensure(&first).await.unwrap(), (first.id, true));
    let same = User {
        email: EmailAddress::new("PERSON1@Example.com").unwrap(),
        ..user(2)
    };
    assert_eq!(uow.users().ensure(&same).await.unwrap(), (first.id, false));
    uow.commit().await.unwrap();

    let mut uow = stores.begin(&tenant(1)).await;
    assert_eq!(uow.users().find_by_email(&same.email).await.unwrap(), Some(first.id));
    assert_eq!(uow.users().find_by_email(&user(3).email).await.unwrap(), None);
    assert_eq!(uow.users().find(first.id).await.unwrap(), Some(first));
    assert_eq!(uow.users().find(same.id).await.unwrap(), None);
}

pub async fn someone_is_a_member_once_and_keeps_their_role(stores: &ReferenceStores) {
    stores.found(1).await;
    let mut uow = stores.begin(&tenant(1)).await;
    uow.users().ensure(&user(1)).await.unwrap();
    assert!(uow.memberships().ensure(&membership(1, 1)).await.unwrap());
    let other_role = Membership {
        role: Role::Member,
        ..membership(1, 1)
    };
    assert!(!uow.memberships().ensure(&other_role).await.unwrap());
    assert_eq!(
        uow.memberships().find(user(1).id).await.unwrap(),
        Some(membership(1, 1))
    );
}

pub async fn somebody_who_left_is_no_member_and_the_system_lists_where_they_are_in_pages(stores: &ReferenceStores) {
    for n in 1..=3 {
        stores.found(n).await;
        let mut uow = stores.begin(&tenant(n)).await;
        uow.users().ensure(&user(1)).await.unwrap();
        uow.users().ensure(&user(2)).await.unwrap();
        uow.memberships().ensure(&membership(n, 1)).await.unwrap();
        uow.memberships().ensure(&membership(n, 2)).await.unwrap();
        uow.commit().await.unwrap();
    }
    let mut uow = stores.begin(&tenant(2)).await;
    assert_eq!(
        uow.memberships().of_user(user(1).id, None, 9).await.unwrap(),
        [membership(2, 1)]
    );
    assert!(uow.memberships().remove(user(1).id).await.unwrap());
    assert!(!uow.memberships().remove(user(1).id).await.unwrap());
    assert_eq!(uow.memberships().find(user(1).id).await.unwrap(), None);
    uow.commit().await.unwrap();

    let mut uow = stores.begin(&Tenant::System).await;
    let first = uow.memberships().of_user(user(1).id, None, 1).await.unwrap();
    assert_eq!(first, [membership(1, 1)]);
    let after = Some(organization_id(1));
    let rest = uow.memberships().of_user(user(1).id, after, 9).await.unwrap();
    assert_eq!(rest, [membership(3, 1)]);
    assert_eq!(uow.memberships().of_user(user(2).id, None, 9).await.unwrap().len(), 3);
}

pub async fn the_address_of_a_person_is_replaced_and_their_old_one_is_free(stores: &ReferenceStores) {
    let mut uow = stores.begin(&Tenant::System).await;
    let gone = user(1);
    uow.users().ensure(&gone).await.unwrap();
    let nobody = User::anonymous_email(gone.id).unwrap();
    assert!(uow.users().replace_email(gone.id, &nobody).await.unwrap());
    assert!(!uow.users().replace_email(user(9).id, &nobody).await.unwrap());
    uow.commit().await.unwrap();

    let mut uow = stores.begin(&Tenant::System).await;
    let kept = uow.users().find(gone.id).await.unwrap();
    assert_eq!(kept.map(|user| user.email), Some(nobody));
    assert_eq!(uow.users().find_by_email(&gone.email).await.unwrap(), None);
    let same_address = User { id: user(2).id, ..gone };
    assert_eq!(
        uow.users().ensure(&same_address).await.unwrap(),
        (same_address.id, true)
    );
}

pub async fn api_keys_that_work_are_listed_up_to_a_limit(stores: &ReferenceStores) {
    stores.found(1).await;
    stores.found(2).await;
    let mut uow = stores.begin(&tenant(2)).await;
    uow.api_keys().insert(&api_key(2, 4)).await.unwrap();
    uow.commit().await.unwrap();
    let mut uow = stores.begin(&tenant(1)).await;
    for n in 1..=3 {
        uow.api_keys().insert(&api_key(1, n)).await.unwrap();
    }
    uow.api_keys().revoke(ApiKeyId::from(id(1)), at(1)).await.unwrap();
    let working = uow.api_keys().list_working(9).await.unwrap();
    assert_eq!(working, [api_key(1, 2), api_key(1, 3)]);
    assert_eq!(uow.api_keys().list_working(1).await.unwrap().len(), 1);
}

pub async fn an_api_key_is_found_by_its_digest_even_when_it_was_revoked(stores: &ReferenceStores) {
    stores.found(1).await;
    let mut uow = stores.begin(&tenant(1)).await;
    uow.api_keys().insert(&api_key(1, 1)).await.unwrap();
    uow.api_keys().insert(&api_key(1, 2)).await.unwrap();
    assert!(uow.api_keys().revoke(ApiKeyId::from(id(2)), at(9)).await.unwrap());
    uow.commit().await.unwrap();

    let working = stores.reader.api_key(&api_key(1, 1).digest).await.unwrap();
    assert_eq!(working, Some(api_key(1, 1)));
    let revoked = stores.reader.api_key(&api_key(1, 2).digest).await.unwrap();
    assert_eq!(revoked.and_then(|key| key.revoked_at), Some(at(9)));
    assert_eq!(stores.reader.api_key(&Digest::of("unknown")).await.unwrap(), None);
}

pub async fn an_api_key_is_revoked_once(stores: &ReferenceStores) {
    stores.found(1).await;
    let mut uow = stores.begin(&tenant(1)).await;
    uow.api_keys().insert(&api_key(1, 1)).await.unwrap();
    assert_eq!(uow.api_keys().count_working().await.unwrap(), 1);
    assert!(uow.api_keys().revoke(ApiKeyId::from(id(1)), at(1)).await.unwrap());
    assert!(!uow.api_keys().revoke(ApiKeyId::from(id(1)), at(2)).await.unwrap());
    assert!(!uow.api_keys().revoke(ApiKeyId::from(id(99)), at(2)).await.unwrap());
    assert_eq!(uow.api_keys().count_working().await.unwrap(), 0);
    let kept = uow.api_keys().find(ApiKeyId::from(id(1))).await.unwrap();
    assert_eq!(kept.and_then(|key| key.revoked_at), Some(at(1)));
}

pub async fn a_sign_in_link_is_found_by_its_token_and_used_up_once(stores: &ReferenceStores) {
    let link = sign_in_link(1);
    let mut uow = stores.begin(&Tenant::System).await;
    uow.sign_in_links().insert(&link).await.unwrap();
    uow.commit().await.unwrap();
    assert_eq!(
        stores.reader.sign_in_link(&link.token).await.unwrap(),
        Some(link.clone())
    );
    assert_eq!(stores.reader.sign_in_link(&Digest::of("other")).await.unwrap(), None);

    let mut uow = stores.begin(&tenant(1)).await;
    assert!(uow.sign_in_links().use_up(link.id, at(5)).await.unwrap());
    assert!(!uow.sign_in_links().use_up(link.id, at(6)).await.unwrap());
    uow.commit().await.unwrap();
    let used = stores.reader.sign_in_link(&link.token).await.unwrap();
    assert_eq!(used.and_then(|link| link.used_at), Some(at(5)));
}

pub async fn old_sign_in_links_are_forgotten_a_few_at_a_time(stores: &ReferenceStores) {
    let mut uow = stores.begin(&Tenant::System).await;
    for n in 1..=3 {
        uow.sign_in_links().insert(&sign_in_link(n)).await.unwrap();
    }
    let expiry = sign_in_link(1).expires_at;
    assert_eq!(uow.sign_in_links().forget(expiry, 2).await.unwrap(), 0);
    let later = expiry + chrono::Duration::seconds(1);
    assert_eq!(uow.sign_in_links().forget(later, 2).await.unwrap(), 2);
    assert_eq!(uow.sign_in_links().forget(later, 2).await.unwrap(), 1);
}

pub(super) fn user(n: u128) -> User {
    User {
        id: UserId::from(id(n)),
        email: EmailAddress::new(format!("person{n}@example.com")).unwrap(),
        created_at: at(0),
    }
}

pub(super) fn membership(organization: u128, person: u128) -> Membership {
    Membership {
        organization_id: organization_id(organization),
        user_id: UserId::from(id(person)),
        role: Role::Admin,
        joined_at: at(0),
    }
}

pub(super) fn api_key(organization: u128, n: u128) -> ApiKey {
    ApiKey {
        id: ApiKeyId::from(id(n)),
        organization_id: organization_id(organization),
        project_id: project_id(organization),
        digest: Digest::of(format!("key {n}")),
        created_at: at(0),
        revoked_at: None,
    }
}

pub(super) fn sign_in_link(n: u128) -> SignInLink {
    SignInLink {
        id: SignInLinkId::from(id(n)),
        email: EmailAddress::new(format!("person{n}@example.com")).unwrap(),
        user_id: None,
        token: Digest::of(format!("token {n}")),
        created_at: at(0),
        expires_at: at(900),
        used_at: None,
    }
}
