//! Exports, and what they are made of.

use aftercommit_domain::reference::exports::{Export, ExportKind, ExportState};
use aftercommit_domain::reference::records::Record;
use aftercommit_domain::reference::{ExportId, RecordId};

use super::identity::user;
use super::projects::upsert;
use super::{ReferenceStores, at, id, organization_id, project_id, tenant};

pub async fn an_export_goes_on_until_it_is_over_and_no_further(stores: &ReferenceStores) {
    stores.found(1).await;
    stores.found(2).await;
    let mut uow = stores.begin(&tenant(1)).await;
    uow.users().ensure(&user(1)).await.unwrap();
    let ready = ExportState::Ready {
        file: export(1).file().unwrap(),
        rows: 5,
        bytes: 50,
        at: at(9),
    };
    let ends = [
        ready,
        ExportState::failed("the disk is full", at(8)),
        ExportState::Cancelled { at: at(7) },
    ];
    for (n, end) in (1..).zip(&ends) {
        let export = export(n);
        uow.exports().insert(&export).await.unwrap();
        assert_eq!(uow.exports().find(export.id).await.unwrap(), Some(export.clone()));
        let steps = [ExportState::Running { rows: 0 }, ExportState::Running { rows: 3 }];
        for state in steps.iter().chain([end]) {
            assert!(uow.exports().advance(export.id, state).await.unwrap());
            let kept = uow.exports().find(export.id).await.unwrap().unwrap();
            assert_eq!((&kept.state, kept.kind), (state, export.kind));
        }
        for late in steps.iter().chain(&ends) {
            assert!(!uow.exports().advance(export.id, late).await.unwrap(), "{late:?}");
        }
        assert_eq!(uow.exports().find(export.id).await.unwrap().unwrap().state, *end);
    }
    let nobody = ExportId::from(id(99));
    assert_eq!(uow.exports().find(nobody).await.unwrap(), None);
    assert!(!uow.exports().advance(nobody, &ends[2]).await.unwrap());
    let open = export(4);
    uow.exports().insert(&open).await.unwrap();
    uow.commit().await.unwrap();
    let mut foreign = stores.begin(&tenant(2)).await;
    assert_eq!(foreign.exports().find(open.id).await.unwrap(), None);
    assert!(!foreign.exports().advance(open.id, &ends[2]).await.unwrap());
}

pub async fn exports_of_a_project_come_in_pages_and_are_forgotten_one_by_one(stores: &ReferenceStores) {
    stores.found(1).await;
    stores.found(2).await;
    let mut uow = stores.begin(&tenant(1)).await;
    uow.users().ensure(&user(1)).await.unwrap();
    let all = [export(1), export(2), export(3)];
    for export in &all {
        uow.exports().insert(export).await.unwrap();
    }
    let first = uow.exports().of_project(&project_id(1), None, 2).await.unwrap();
    assert_eq!(first, all[..2]);
    let rest = uow.exports().of_project(&project_id(1), Some(first[1].id), 2).await;
    assert_eq!(rest.unwrap(), all[2..]);
    assert!(
        uow.exports()
            .of_project(&project_id(2), None, 9)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(uow.exports().remove(all[0].id).await.unwrap());
    assert!(!uow.exports().remove(all[0].id).await.unwrap());
    assert_eq!(uow.exports().find(all[0].id).await.unwrap(), None);
    uow.commit().await.unwrap();
    let mut foreign = stores.begin(&tenant(2)).await;
    assert!(
        foreign
            .exports()
            .of_project(&project_id(1), None, 9)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(!foreign.exports().remove(all[1].id).await.unwrap());
}

pub async fn the_records_of_a_project_come_in_pages_and_none_is_left_out(stores: &ReferenceStores) {
    stores.found(1).await;
    stores.found(2).await;
    let mut uow = stores.begin(&tenant(1)).await;
    upsert(&mut *uow, 1, &[("b", "1"), ("a", "2"), ("c", "3")], 10).await;
    // A record that comes again keeps its place.
    upsert(&mut *uow, 1, &[("b", "4")], 20).await;
    let (mut found, mut after): (Vec<Record>, Option<RecordId>) = (Vec::new(), None);
    loop {
        let page = uow.records().page(&project_id(1), after, 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        found.extend(page);
    }
    let said: Vec<(&str, &str)> = found
        .iter()
        .map(|record| (record.key.as_str(), record.body.as_str()))
        .collect();
    assert_eq!(said, [("b", "4"), ("a", "2"), ("c", "3")]);
    assert!(found.iter().all(|record| record.project_id == project_id(1)));
    uow.commit().await.unwrap();
    let mut foreign = stores.begin(&tenant(2)).await;
    assert!(
        foreign
            .records()
            .page(&project_id(1), None, 9)
            .await
            .unwrap()
            .is_empty()
    );
}

fn export(n: u64) -> Export {
    Export {
        id: ExportId::from(id(n.into())),
        organization_id: organization_id(1),
        project_id: project_id(1),
        kind: ExportKind::Records,
        recipient_user_id: user(1).id,
        requested_at: at(n),
        state: ExportState::Requested,
    }
}
