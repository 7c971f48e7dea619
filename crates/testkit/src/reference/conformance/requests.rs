//! Requests that carried an `Idempotency-Key`.

use aftercommit_domain::contract::{OrganizationId, Tenant};
use aftercommit_domain::reference::requests::{IdempotentRequest, KeptAnswer, RequestClaim};
use aftercommit_domain::reference::{Digest, RequestId};

use super::{ReferenceStores, at, id, organization_id, tenant};

pub async fn a_request_is_claimed_once_and_repeats_its_answer(stores: &ReferenceStores) {
    claim_and_keep(stores, &tenant(1), &request(None), 1).await;
    let mut uow = stores.begin(&tenant(2)).await;
    let claim = uow
        .requests()
        .claim(RequestId::from(id(2)), &request(None), at(5), at(0))
        .await
        .unwrap();
    let seen = RequestClaim::Seen {
        id: RequestId::from(id(1)),
        fingerprint: Digest::of("body"),
        answer: answer(),
    };
    assert_eq!(claim, seen);
}

pub async fn a_key_means_something_else_to_another_organization_and_on_another_route(stores: &ReferenceStores) {
    let first = request(Some(organization_id(1)));
    claim_and_keep(stores, &tenant(1), &first, 1).await;
    let others = [
        request(Some(organization_id(2))),
        request(None),
        IdempotentRequest {
            route: "POST /other".into(),
            ..first.clone()
        },
        IdempotentRequest {
            key: "other".into(),
            ..first
        },
    ];
    for (n, other) in (2..).zip(others) {
        let mut uow = stores.begin(&Tenant::System).await;
        let claim = uow.requests().claim(RequestId::from(id(n)), &other, at(5), at(0)).await;
        assert_eq!(claim.unwrap(), RequestClaim::First, "{other:?}");
        drop(uow);
    }
}

pub async fn a_request_older_than_it_is_kept_can_be_claimed_again(stores: &ReferenceStores) {
    let request = request(Some(organization_id(1)));
    claim_and_keep(stores, &tenant(1), &request, 1).await;
    let mut uow = stores.begin(&tenant(1)).await;
    let mut requests = uow.requests();
    let young = requests
        .claim(RequestId::from(id(2)), &request, at(9), at(1))
        .await
        .unwrap();
    assert!(matches!(young, RequestClaim::Seen { .. }));
    let old = requests
        .claim(RequestId::from(id(3)), &request, at(9), at(2))
        .await
        .unwrap();
    assert_eq!(old, RequestClaim::First);
    requests.keep_answer(RequestId::from(id(3)), &answer()).await.unwrap();
    assert_eq!(requests.forget(at(9), 5).await.unwrap(), 0);
    assert_eq!(requests.forget(at(10), 5).await.unwrap(), 1);
}

/// Claims the request one second after the beginning.
async fn claim_and_keep(stores: &ReferenceStores, tenant: &Tenant, request: &IdempotentRequest, n: u128) {
    let mut uow = stores.begin(tenant).await;
    let id = RequestId::from(id(n));
    let claim = uow.requests().claim(id, request, at(1), at(0)).await.unwrap();
    assert_eq!(claim, RequestClaim::First);
    uow.requests().keep_answer(id, &answer()).await.unwrap();
    uow.commit().await.unwrap();
}

fn request(organization: Option<OrganizationId>) -> IdempotentRequest {
    IdempotentRequest::new(organization, "POST /v1/things", "key-1", Digest::of("body")).unwrap()
}

fn answer() -> KeptAnswer {
    KeptAnswer {
        key_id: "k1".into(),
        bytes: vec![0, 1, 255],
    }
}
