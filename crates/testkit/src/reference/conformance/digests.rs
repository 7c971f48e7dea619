//! Digests, and what they are made for.

use aftercommit_domain::contract::{OrganizationId, ProjectId, Tenant};
use aftercommit_domain::reference::WeeklyDigestId;
use aftercommit_domain::reference::digests::WeeklyDigest;

use super::projects::upsert;
use super::{ReferenceStores, at, id, organization_id, project_id, tenant};

pub async fn a_project_has_one_digest_for_each_end_of_a_week(stores: &ReferenceStores) {
    stores.found(1).await;
    stores.found(2).await;
    let mut uow = stores.begin(&tenant(1)).await;
    // Records are counted from a time on and before another; these came at second 1.
    upsert(&mut *uow, 1, &[("a", "1"), ("b", "2")], 10).await;
    for (from, until, counted) in [(0, 9, 2), (1, 2, 2), (0, 1, 0), (2, 9, 0)] {
        let count = uow.records().count_received(&project_id(1), at(from), at(until)).await;
        assert_eq!(count.unwrap(), counted, "{from} {until}");
    }
    let first = digest(1, 100);
    assert!(uow.digests().insert_if_absent(&first).await.unwrap());
    assert!(!uow.digests().insert_if_absent(&digest(2, 100)).await.unwrap());
    assert!(uow.digests().insert_if_absent(&digest(3, 200)).await.unwrap());
    uow.commit().await.unwrap();
    let mut uow = stores.begin(&tenant(1)).await;
    assert_eq!(uow.digests().find(first.id).await.unwrap(), Some(first.clone()));
    assert_eq!(uow.digests().find(WeeklyDigestId::from(id(2))).await.unwrap(), None);
    drop(uow);
    let mut foreign = stores.begin(&tenant(2)).await;
    assert_eq!(foreign.digests().find(first.id).await.unwrap(), None);
    let count = foreign.records().count_received(&project_id(1), at(0), at(9)).await;
    assert_eq!(count.unwrap(), 0);
}

pub async fn live_projects_are_listed_in_pages_and_the_system_lists_those_of_all_organizations(
    stores: &ReferenceStores,
) {
    for n in 1..=3 {
        stores.found(n).await;
    }
    let mut uow = stores.begin(&tenant(3)).await;
    assert!(uow.projects().mark_deleted(&project_id(3), at(1)).await.unwrap());
    uow.commit().await.unwrap();
    let key = |n| (organization_id(n), project_id(n));
    for (whose, all) in [
        (Tenant::System, vec![key(1), key(2)]),
        (tenant(2), vec![key(2)]),
        (tenant(3), vec![]),
    ] {
        let mut uow = stores.begin(&whose).await;
        let (mut listed, mut after): (Vec<(OrganizationId, ProjectId)>, _) = (Vec::new(), None);
        loop {
            let page = uow.projects().list_live(after.clone(), 1).await.unwrap();
            let Some(last) = page.into_iter().next() else { break };
            after = Some(last.clone());
            listed.push(last);
        }
        assert_eq!(listed, all, "{whose:?}");
    }
}

pub(super) fn digest(n: u128, until: u64) -> WeeklyDigest {
    WeeklyDigest {
        id: WeeklyDigestId::from(id(n)),
        organization_id: organization_id(1),
        project_id: project_id(1),
        until: at(until),
        records: 3,
        incidents_opened: 2,
        incidents_closed: 1,
        created_at: at(until + 1),
    }
}
