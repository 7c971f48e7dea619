//! Overage reports and the billing ledger.

use aftercommit_domain::reference::OverageReportId;
use aftercommit_domain::reference::billing::{BillingLedgerEntry, OverageReport};
use chrono::NaiveDate;

use super::{ReferenceStores, at, id, organization_id, project_id, tenant};

pub async fn of_a_project_and_month_one_report_is_pending_and_the_next_goes_on_where_it_ended(
    stores: &ReferenceStores,
) {
    stores.found(1).await;
    stores.found(2).await;
    let mut uow = stores.begin(&tenant(1)).await;
    let mut reports = uow.overage_reports();
    let project = project_id(1);
    let first = report(1, 0, 500);
    assert_eq!(reports.pending(&project, month(11)).await.unwrap(), None);
    assert_eq!(reports.reported_up_to(&project, month(11)).await.unwrap(), 0);
    assert!(reports.insert(&first).await.unwrap());
    assert!(!reports.insert(&report(2, 0, 700)).await.unwrap(), "one is pending");
    assert_eq!(reports.pending(&project, month(11)).await.unwrap(), Some(first.clone()));
    assert_eq!(
        reports.reported_up_to(&project, month(11)).await.unwrap(),
        0,
        "not reported yet"
    );
    assert!(reports.mark_reported(first.id, at(5)).await.unwrap());
    assert!(!reports.mark_reported(first.id, at(6)).await.unwrap());
    assert_eq!(reports.pending(&project, month(11)).await.unwrap(), None);
    assert_eq!(reports.reported_up_to(&project, month(11)).await.unwrap(), 500);
    assert!(reports.insert(&report(3, 500, 700)).await.unwrap());
    let december = OverageReport {
        month: month(12),
        ..report(4, 0, 9)
    };
    assert!(reports.insert(&december).await.unwrap(), "another month");
    drop(reports);
    uow.commit().await.unwrap();

    let mut foreign = stores.begin(&tenant(2)).await;
    let mut reports = foreign.overage_reports();
    assert_eq!(reports.pending(&project, month(11)).await.unwrap(), None);
    assert_eq!(reports.reported_up_to(&project, month(11)).await.unwrap(), 0);
    assert!(!reports.mark_reported(december.id, at(7)).await.unwrap());
}

pub async fn the_ledger_takes_down_one_report_for_each_key(stores: &ReferenceStores) {
    stores.found(1).await;
    stores.found(2).await;
    let entry = |organization: u128, key: &str, records: u64| BillingLedgerEntry {
        idempotency_key: key.to_owned(),
        usage: OverageReport {
            organization_id: organization_id(organization),
            project_id: project_id(organization),
            ..report(1, 0, records)
        }
        .usage(),
        at: at(1),
    };
    for n in [1, 2] {
        let mut uow = stores.begin(&tenant(n)).await;
        assert!(uow.billing_ledger().append(&entry(n, "a", 3)).await.unwrap());
        assert!(!uow.billing_ledger().append(&entry(n, "a", 99)).await.unwrap());
        assert!(uow.billing_ledger().append(&entry(n, "b", 4)).await.unwrap());
        uow.commit().await.unwrap();
    }
    let mut uow = stores.begin(&tenant(1)).await;
    assert_eq!(uow.billing_ledger().total(&project_id(1), month(11)).await.unwrap(), 7);
    assert_eq!(uow.billing_ledger().total(&project_id(1), month(12)).await.unwrap(), 0);
    assert_eq!(uow.billing_ledger().total(&project_id(2), month(11)).await.unwrap(), 0);
}

fn month(month: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, month, 1).unwrap()
}

pub(super) fn report(n: u128, from: u64, up_to: u64) -> OverageReport {
    OverageReport {
        id: OverageReportId::from(id(n)),
        organization_id: organization_id(1),
        project_id: project_id(1),
        month: month(11),
        from,
        up_to,
        created_at: at(1),
        reported_at: None,
    }
}
