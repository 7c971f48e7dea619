//! Overage reports and the billing ledger.

use aftercommit_domain::contract::ProjectId;
use aftercommit_domain::reference::OverageReportId;
use aftercommit_domain::reference::billing::{
    BillingLedger, BillingLedgerEntry, OverageReport, OverageReportRepository,
};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;
use chrono::NaiveDate;
use uuid::Uuid;

use super::rows::{Rows, organization_id};
use crate::columns::count;

fn number(records: u64) -> i64 {
    i64::try_from(records).unwrap_or(i64::MAX)
}

#[async_trait]
impl OverageReportRepository for Rows<'_> {
    async fn insert(&mut self, report: &OverageReport) -> Result<bool, StoreError> {
        let insert = sqlx::query(
            "INSERT INTO reference.overage_reports (organization_id, id, project_id, month, reported_before, up_to, \
             created_at, reported_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (organization_id, project_id, month) WHERE reported_at IS NULL DO NOTHING",
        )
        .bind(report.organization_id.as_str())
        .bind(report.id.uuid())
        .bind(report.project_id.as_str())
        .bind(report.month)
        .bind(number(report.from))
        .bind(number(report.up_to))
        .bind(report.created_at)
        .bind(report.reported_at);
        Ok(self.run("overage_reports.insert", insert).await? == 1)
    }

    async fn pending(&mut self, project: &ProjectId, month: NaiveDate) -> Result<Option<OverageReport>, StoreError> {
        let select = sqlx::query_as::<_, (String, Uuid, i64, i64, Timestamp)>(
            "SELECT organization_id, id, reported_before, up_to, created_at FROM reference.overage_reports \
             WHERE organization_id = $1 AND project_id = $2 AND month = $3 AND reported_at IS NULL",
        )
        .bind(self.organization)
        .bind(project.as_str())
        .bind(month);
        let row = self.optional("overage_reports.pending", select).await?;
        row.map(|(organization, id, from, up_to, created_at)| {
            Ok(OverageReport {
                id: OverageReportId::from(id),
                organization_id: organization_id(&organization, "overage report")?,
                project_id: project.clone(),
                month,
                from: count(from),
                up_to: count(up_to),
                created_at,
                reported_at: None,
            })
        })
        .transpose()
    }

    async fn reported_up_to(&mut self, project: &ProjectId, month: NaiveDate) -> Result<u64, StoreError> {
        let select = sqlx::query_as::<_, (Option<i64>,)>(
            "SELECT max(up_to) FROM reference.overage_reports \
             WHERE organization_id = $1 AND project_id = $2 AND month = $3 AND reported_at IS NOT NULL",
        )
        .bind(self.organization)
        .bind(project.as_str())
        .bind(month);
        let (up_to,) = self.one("overage_reports.reported_up_to", select).await?;
        Ok(count(up_to.unwrap_or(0)))
    }

    async fn mark_reported(&mut self, id: OverageReportId, at: Timestamp) -> Result<bool, StoreError> {
        let update = sqlx::query(
            "UPDATE reference.overage_reports SET reported_at = $1 \
             WHERE organization_id = $2 AND id = $3 AND reported_at IS NULL",
        )
        .bind(at)
        .bind(self.organization)
        .bind(id.uuid());
        Ok(self.run("overage_reports.mark_reported", update).await? == 1)
    }
}

#[async_trait]
impl BillingLedger for Rows<'_> {
    async fn append(&mut self, entry: &BillingLedgerEntry) -> Result<bool, StoreError> {
        let insert = sqlx::query(
            "INSERT INTO reference.billing_ledger (organization_id, idempotency_key, project_id, month, records, \
             taken_down_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (organization_id, idempotency_key) DO NOTHING",
        )
        .bind(entry.usage.organization_id.as_str())
        .bind(&entry.idempotency_key)
        .bind(entry.usage.project_id.as_str())
        .bind(entry.usage.month)
        .bind(number(entry.usage.records))
        .bind(entry.at);
        Ok(self.run("billing_ledger.append", insert).await? == 1)
    }

    async fn total(&mut self, project: &ProjectId, month: NaiveDate) -> Result<u64, StoreError> {
        let select = sqlx::query_as::<_, (i64,)>(
            "SELECT coalesce(sum(records), 0)::bigint FROM reference.billing_ledger \
             WHERE organization_id = $1 AND project_id = $2 AND month = $3",
        )
        .bind(self.organization)
        .bind(project.as_str())
        .bind(month);
        let (total,) = self.one("billing_ledger.total", select).await?;
        Ok(count(total))
    }
}
