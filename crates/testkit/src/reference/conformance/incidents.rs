//! Incidents.

use aftercommit_domain::contract::Tenant;
use aftercommit_domain::reference::incidents::{Incident, IncidentCounts, IncidentSource};
use aftercommit_domain::reference::records::RecordKey;
use aftercommit_domain::reference::{IncidentId, RecordId};

use super::{ReferenceStores, at, id, organization_id, project_id, tenant};

pub async fn of_a_source_one_incident_is_open_and_it_is_closed_once(stores: &ReferenceStores) {
    stores.found(1).await;
    stores.found(2).await;
    let mut uow = stores.begin(&tenant(1)).await;
    let mut incidents = uow.incidents();
    let (first, again, other) = (
        incident(1, 1, "pump", 10),
        incident(1, 2, "pump", 20),
        incident(1, 3, "valve", 5),
    );
    assert!(incidents.open(&first).await.unwrap());
    assert!(!incidents.open(&again).await.unwrap(), "one of its source is open");
    assert!(incidents.open(&other).await.unwrap());
    assert!(incidents.close(first.id, at(15), at(14)).await.unwrap());
    assert!(!incidents.close(first.id, at(16), at(15)).await.unwrap());
    assert!(!incidents.close(IncidentId::from(id(99)), at(16), at(15)).await.unwrap());
    assert!(incidents.open(&again).await.unwrap(), "the one before is closed");
    drop(incidents);
    uow.commit().await.unwrap();

    let mut uow = stores.begin(&tenant(1)).await;
    let mut incidents = uow.incidents();
    let closed = Incident {
        closed: Some((at(15), at(14))),
        ..first.clone()
    };
    assert_eq!(incidents.find(first.id).await.unwrap(), Some(closed));
    assert_eq!(
        incidents.latest(&project_id(1), &again.source).await.unwrap(),
        Some(again.clone())
    );
    let unknown = source("nothing");
    assert_eq!(incidents.latest(&project_id(1), &unknown).await.unwrap(), None);
    drop(incidents);
    drop(uow);

    let mut foreign = stores.begin(&tenant(2)).await;
    let mut incidents = foreign.incidents();
    assert_eq!(incidents.find(first.id).await.unwrap(), None);
    assert_eq!(incidents.latest(&project_id(1), &again.source).await.unwrap(), None);
    assert!(!incidents.close(again.id, at(30), at(30)).await.unwrap());
}

pub async fn open_incidents_are_listed_in_pages_and_the_system_lists_those_of_all_organizations(
    stores: &ReferenceStores,
) {
    for n in [1, 2] {
        stores.found(n).await;
        let mut uow = stores.begin(&tenant(n)).await;
        for (number, source) in [(1, "a"), (2, "b")] {
            let open = incident(n, n * 10 + number, source, 1);
            assert!(uow.incidents().open(&open).await.unwrap());
        }
        let closed = incident(n, n * 10 + 3, "c", 1);
        assert!(uow.incidents().open(&closed).await.unwrap());
        assert!(uow.incidents().close(closed.id, at(2), at(2)).await.unwrap());
        uow.commit().await.unwrap();
    }
    let ids = |numbers: &[u128]| numbers.iter().map(|n| IncidentId::from(id(*n))).collect::<Vec<_>>();
    for (whose, all) in [(Tenant::System, ids(&[11, 12, 21, 22])), (tenant(1), ids(&[11, 12]))] {
        let mut uow = stores.begin(&whose).await;
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = uow.incidents().list_open(after, 1).await.unwrap();
            let Some(last) = page.last() else { break };
            assert!(page.len() == 1 && last.closed.is_none());
            after = Some(last.id);
            listed.push(last.id);
        }
        assert_eq!(listed, all, "{whose:?}");
    }
}

pub async fn incidents_are_counted_from_a_time_on_and_before_another(stores: &ReferenceStores) {
    stores.found(1).await;
    let mut uow = stores.begin(&tenant(1)).await;
    for (n, source, opened, closed) in [(1, "a", 10, Some(20)), (2, "b", 20, None), (3, "c", 5, Some(10))] {
        let one = incident(1, n, source, opened);
        assert!(uow.incidents().open(&one).await.unwrap());
        if let Some(closed) = closed {
            assert!(uow.incidents().close(one.id, at(closed), at(closed)).await.unwrap());
        }
    }
    uow.commit().await.unwrap();
    let mut uow = stores.begin(&tenant(1)).await;
    let mut count = async |from, until| {
        let counted = uow
            .incidents()
            .count(&project_id(1), at(from), at(until))
            .await
            .unwrap();
        let IncidentCounts { opened, closed } = counted;
        (opened, closed)
    };
    assert_eq!(count(0, 100).await, (3, 2));
    assert_eq!(count(10, 20).await, (1, 1));
    assert_eq!(count(20, 21).await, (1, 1));
    let foreign = uow.incidents().count(&project_id(2), at(0), at(100)).await.unwrap();
    assert_eq!(foreign, IncidentCounts::default());
}

fn source(text: &str) -> IncidentSource {
    IncidentSource::from(RecordKey::new(text).unwrap())
}

pub(super) fn incident(organization: u128, n: u128, named: &str, second: u64) -> Incident {
    Incident {
        id: IncidentId::from(id(n)),
        organization_id: organization_id(organization),
        project_id: project_id(organization),
        source: source(named),
        record_id: RecordId::from(id(0xc00 + n)),
        told_at: at(second),
        opened_at: at(second),
        closed: None,
    }
}
