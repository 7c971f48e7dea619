//! Records one by one, and the search index.

use aftercommit_domain::contract::StorageKey;
use aftercommit_domain::reference::records::Record;
use aftercommit_domain::reference::search::SearchText;
use aftercommit_domain::reference::{RecordId, ReferenceUnitOfWork};

use super::projects::upsert;
use super::{ReferenceStores, at, id, project_id, tenant};

pub async fn a_record_is_found_as_it_is_now_and_by_the_batch_it_came_with_last(stores: &ReferenceStores) {
    stores.found(1).await;
    stores.found(2).await;
    let mut uow = stores.begin(&tenant(1)).await;
    let ids = upsert(&mut *uow, 1, &[("a", "1"), ("b", "2"), ("c", "3")], 10).await;
    upsert(&mut *uow, 1, &[("b", "4")], 20).await;
    uow.commit().await.unwrap();
    let mut uow = stores.begin(&tenant(1)).await;
    let found = uow.records().find(&project_id(1), ids[1]).await.unwrap().unwrap();
    let Record {
        id: found_id,
        key,
        body,
        received_at,
        project_id: of_project,
    } = found;
    assert_eq!((found_id, key.as_str(), body.as_str()), (ids[1], "b", "4"));
    assert_eq!((received_at, of_project), (at(1), project_id(1)));
    let unknown = RecordId::from(id(99));
    assert_eq!(uow.records().find(&project_id(1), unknown).await.unwrap(), None);
    assert_eq!(uow.records().find(&project_id(2), ids[1]).await.unwrap(), None);

    let batch = StorageKey::new("records/batch").unwrap();
    let mut records = uow.records();
    let first = records.of_batch(&project_id(1), &batch, None, 2).await.unwrap();
    assert_eq!(first, ids[..2]);
    let rest = records.of_batch(&project_id(1), &batch, Some(ids[1]), 2).await.unwrap();
    assert_eq!(rest, ids[2..]);
    let other = StorageKey::new("records/other").unwrap();
    assert_eq!(records.of_batch(&project_id(1), &other, None, 2).await.unwrap(), []);
    drop(records);
    drop(uow);

    let mut foreign = stores.begin(&tenant(2)).await;
    assert_eq!(foreign.records().find(&project_id(1), ids[1]).await.unwrap(), None);
    let none = foreign.records().of_batch(&project_id(1), &batch, None, 9).await;
    assert_eq!(none.unwrap(), []);
}

pub async fn a_record_is_looked_up_by_what_it_says_now_the_latest_first(stores: &ReferenceStores) {
    stores.found(1).await;
    stores.found(2).await;
    let mut uow = stores.begin(&tenant(1)).await;
    let ids = upsert(&mut *uow, 1, &[("a", "1"), ("b", "2")], 10).await;
    assert!(put(&mut *uow, ids[0], "Pump 100%_ failed", 1).await);
    assert!(put(&mut *uow, ids[1], "pump fine", 2).await);
    uow.commit().await.unwrap();
    let mut uow = stores.begin(&tenant(1)).await;
    assert_eq!(search(&mut *uow, "PUMP", 9).await, [ids[1], ids[0]]);
    assert_eq!(search(&mut *uow, "PUMP", 1).await, [ids[1]]);
    assert_eq!(search(&mut *uow, "100%_", 9).await, [ids[0]]);
    assert_eq!(search(&mut *uow, "%", 9).await, [ids[0]], "it is text, not a pattern");
    assert!(put(&mut *uow, ids[0], "valve", 3).await);
    assert_eq!(search(&mut *uow, "failed", 9).await, []);
    drop(uow);
    let mut foreign = stores.begin(&tenant(2)).await;
    assert_eq!(search(&mut *foreign, "pump", 9).await, []);
    assert!(!put(&mut *foreign, ids[0], "theirs", 4).await);
    assert_eq!(foreign.search_index().purge(&project_id(1), 9).await.unwrap(), 0);
}

pub async fn what_the_index_has_of_a_record_goes_with_it_and_does_not_come_back(stores: &ReferenceStores) {
    stores.found(1).await;
    let mut uow = stores.begin(&tenant(1)).await;
    let ids = upsert(&mut *uow, 1, &[("a", "1"), ("b", "2"), ("c", "3")], 10).await;
    for id in &ids {
        assert!(put(&mut *uow, *id, "word", 1).await);
    }
    assert_eq!(uow.search_index().purge(&project_id(1), 2).await.unwrap(), 2);
    assert_eq!(search(&mut *uow, "word", 9).await.len(), 1);
    for id in &ids {
        assert!(put(&mut *uow, *id, "word", 1).await);
    }
    assert_eq!(uow.records().purge(&project_id(1), 9).await.unwrap(), 3);
    assert_eq!(search(&mut *uow, "word", 9).await, []);
    assert!(!put(&mut *uow, ids[0], "word", 2).await);
    assert_eq!(search(&mut *uow, "word", 9).await, []);
}

async fn put(uow: &mut dyn ReferenceUnitOfWork, record: RecordId, text: &str, second: u64) -> bool {
    let text = SearchText::new(text);
    let mut index = uow.search_index();
    index.put(&project_id(1), record, &text, at(second)).await.unwrap()
}

async fn search(uow: &mut dyn ReferenceUnitOfWork, text: &str, limit: u32) -> Vec<RecordId> {
    let text = SearchText::new(text);
    uow.search_index().search(&project_id(1), &text, limit).await.unwrap()
}
