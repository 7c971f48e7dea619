//! Usage.

use aftercommit_domain::reference::usage::UsagePeriod;
use chrono::NaiveDate;

use super::{ReferenceStores, project_id, tenant};

pub async fn usage_adds_up_by_project_and_month_the_newest_first(stores: &ReferenceStores) {
    stores.found(1).await;
    stores.found(2).await;
    let months: Vec<NaiveDate> = ["2026-09-01", "2026-10-01", "2026-11-01"]
        .iter()
        .map(|month| month.parse().unwrap())
        .collect();
    for (n, records) in [(1, 5), (2, 70)] {
        for month in &months {
            for _ in 0..2 {
                let mut uow = stores.begin(&tenant(n)).await;
                uow.usage().add_batch(&project_id(n), *month, records).await.unwrap();
                uow.commit().await.unwrap();
            }
        }
    }
    let mut uow = stores.begin(&tenant(1)).await;
    let periods = uow.usage().periods(&project_id(1), 2).await.unwrap();
    let expected = |month: &NaiveDate| UsagePeriod {
        month: *month,
        batches: 2,
        records: 10,
    };
    assert_eq!(periods, [expected(&months[2]), expected(&months[1])]);
    let foreign = uow.usage().periods(&project_id(2), 10).await.unwrap();
    assert!(foreign.is_empty(), "another organization's: {foreign:?}");
}
