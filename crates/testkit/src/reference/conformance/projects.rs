//! Projects and records.

use aftercommit_domain::contract::StorageKey;
use aftercommit_domain::reference::projects::Project;
use aftercommit_domain::reference::records::{NewRecord, RecordBody, RecordKey};
use aftercommit_domain::reference::{Name, RecordId};

use super::{ReferenceStores, at, id, organization_id, project_id, tenant};

pub async fn a_mark_of_a_project_is_set_once(stores: &ReferenceStores) {
    stores.found(1).await;
    let mut uow = stores.begin(&tenant(1)).await;
    let project = project_id(1);
    assert!(uow.projects().mark_provisioned(&project, at(1)).await.unwrap());
    assert!(!uow.projects().mark_provisioned(&project, at(2)).await.unwrap());
    assert!(uow.projects().mark_first_record(&project, at(3)).await.unwrap());
    assert!(!uow.projects().mark_first_record(&project, at(4)).await.unwrap());
    assert!(!uow.projects().mark_first_record(&project_id(9), at(4)).await.unwrap());
    let kept = uow.projects().find(&project).await.unwrap().unwrap();
    assert_eq!(kept.provisioned_at, Some(at(1)));
    assert_eq!(kept.first_record_at, Some(at(3)));
}

pub async fn a_deleted_project_gets_no_more_marks(stores: &ReferenceStores) {
    stores.found(1).await;
    let mut uow = stores.begin(&tenant(1)).await;
    let project = project_id(1);
    assert!(uow.projects().mark_deleted(&project, at(1)).await.unwrap());
    assert!(!uow.projects().mark_deleted(&project, at(2)).await.unwrap());
    assert!(!uow.projects().mark_provisioned(&project, at(2)).await.unwrap());
    assert!(!uow.projects().mark_first_record(&project, at(2)).await.unwrap());
    let kept = uow.projects().find(&project).await.unwrap().unwrap();
    assert_eq!(kept.deleted_at, Some(at(1)));
    assert!(!kept.is_live());
}

pub async fn a_record_under_a_known_key_replaces_the_first_and_keeps_its_id(stores: &ReferenceStores) {
    stores.found(1).await;
    let mut uow = stores.begin(&tenant(1)).await;
    let first = upsert(&mut *uow, 1, &[("a", "1"), ("b", "2")], 10).await;
    assert_eq!(first, [RecordId::from(id(10)), RecordId::from(id(11))]);
    let second = upsert(&mut *uow, 1, &[("b", "3"), ("c", "4"), ("c", "5")], 20).await;
    assert_eq!(second.first(), first.get(1));
    assert_eq!(second.get(1), Some(&RecordId::from(id(21))));
    assert_eq!(second.get(2), second.get(1), "one key in one batch is one record");
    uow.commit().await.unwrap();
    let mut uow = stores.begin(&tenant(1)).await;
    assert!(uow.records().any(&project_id(1)).await.unwrap());
    assert_eq!(uow.records().purge(&project_id(1), 10).await.unwrap(), 3);
    assert!(!uow.records().any(&project_id(1)).await.unwrap());
}

pub async fn projects_do_not_share_keys(stores: &ReferenceStores) {
    stores.found(1).await;
    let mut uow = stores.begin(&tenant(1)).await;
    let name = Name::new("Second").unwrap();
    let second = Project::new(project_id(5), organization_id(1), name, at(0));
    uow.projects().insert(&second).await.unwrap();
    let of_first = upsert(&mut *uow, 1, &[("a", "1")], 10).await;
    let of_second = upsert(&mut *uow, 5, &[("a", "1")], 20).await;
    assert_ne!(of_first, of_second);
}

pub async fn a_purge_takes_one_projects_records_and_at_most_its_limit(stores: &ReferenceStores) {
    stores.found(1).await;
    let mut uow = stores.begin(&tenant(1)).await;
    let name = Name::new("Second").unwrap();
    let second = Project::new(project_id(5), organization_id(1), name, at(0));
    uow.projects().insert(&second).await.unwrap();
    upsert(&mut *uow, 1, &[("a", "1"), ("b", "1"), ("c", "1")], 10).await;
    upsert(&mut *uow, 5, &[("a", "1")], 20).await;
    assert_eq!(uow.records().purge(&project_id(1), 2).await.unwrap(), 2);
    assert_eq!(uow.records().purge(&project_id(1), 2).await.unwrap(), 1);
    assert_eq!(uow.records().purge(&project_id(1), 2).await.unwrap(), 0);
    assert!(uow.records().any(&project_id(5)).await.unwrap());
}

pub(super) async fn upsert(
    uow: &mut dyn aftercommit_domain::reference::ReferenceUnitOfWork,
    project: u128,
    records: &[(&str, &str)],
    first_id: u128,
) -> Vec<RecordId> {
    let records: Vec<NewRecord> = records
        .iter()
        .map(|(key, body)| NewRecord {
            key: RecordKey::new(*key).unwrap(),
            body: RecordBody::new(*body).unwrap(),
        })
        .collect();
    let ids: Vec<RecordId> = (first_id..)
        .take(records.len())
        .map(|n| RecordId::from(id(n)))
        .collect();
    let batch = StorageKey::new("records/batch").unwrap();
    uow.records()
        .upsert(&project_id(project), &batch, &records, &ids, at(1))
        .await
        .unwrap()
}
