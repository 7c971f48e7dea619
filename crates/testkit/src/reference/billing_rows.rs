//! Overage reports and the billing ledger in memory.

use aftercommit_domain::contract::ProjectId;
use aftercommit_domain::reference::OverageReportId;
use aftercommit_domain::reference::billing::{
    BillingLedger, BillingLedgerEntry, OverageReport, OverageReportRepository,
};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;
use chrono::NaiveDate;

use super::tables::Rows;

impl Rows<'_> {
    fn reports_of<'a>(&'a self, project: &'a ProjectId, month: NaiveDate) -> impl Iterator<Item = &'a OverageReport> {
        let rows = self.tables.overage_reports.values();
        rows.filter(move |row| self.sees(&row.organization_id) && row.project_id == *project && row.month == month)
    }
}

#[async_trait]
impl OverageReportRepository for Rows<'_> {
    async fn insert(&mut self, report: &OverageReport) -> Result<bool, StoreError> {
        if self.pending(&report.project_id, report.month).await?.is_some() {
            return Ok(false);
        }
        let key = (report.organization_id.clone(), report.id);
        self.tables.overage_reports.insert(key, report.clone());
        Ok(true)
    }

    async fn pending(&mut self, project: &ProjectId, month: NaiveDate) -> Result<Option<OverageReport>, StoreError> {
        let mut reports = self.reports_of(project, month);
        Ok(reports.find(|report| report.reported_at.is_none()).cloned())
    }

    async fn reported_up_to(&mut self, project: &ProjectId, month: NaiveDate) -> Result<u64, StoreError> {
        let reported = self
            .reports_of(project, month)
            .filter(|report| report.reported_at.is_some());
        Ok(reported.map(|report| report.up_to).max().unwrap_or(0))
    }

    async fn mark_reported(&mut self, id: OverageReportId, at: Timestamp) -> Result<bool, StoreError> {
        let key = self.key(id);
        let report = key.and_then(|key| self.tables.overage_reports.get_mut(&key));
        let pending = report.filter(|report| report.reported_at.is_none());
        Ok(pending.map(|report| report.reported_at = Some(at)).is_some())
    }
}

#[async_trait]
impl BillingLedger for Rows<'_> {
    async fn append(&mut self, entry: &BillingLedgerEntry) -> Result<bool, StoreError> {
        let key = (entry.usage.organization_id.clone(), entry.idempotency_key.clone());
        if self.tables.billing_ledger.contains_key(&key) {
            return Ok(false);
        }
        self.tables.billing_ledger.insert(key, entry.clone());
        Ok(true)
    }

    async fn total(&mut self, project: &ProjectId, month: NaiveDate) -> Result<u64, StoreError> {
        let usages = self.tables.billing_ledger.values().map(|entry| &entry.usage);
        let own = usages
            .filter(|usage| self.sees(&usage.organization_id) && usage.project_id == *project && usage.month == month);
        Ok(own.map(|usage| usage.records).sum())
    }
}
