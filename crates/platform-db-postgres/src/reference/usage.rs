//! Usage.

use aftercommit_domain::contract::ProjectId;
use aftercommit_domain::reference::usage::{UsagePeriod, UsageRepository};
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;
use chrono::NaiveDate;

use super::rows::Rows;
use crate::columns::count;

#[async_trait]
impl UsageRepository for Rows<'_> {
    async fn add_batch(&mut self, project: &ProjectId, month: NaiveDate, records: u32) -> Result<(), StoreError> {
        let upsert = sqlx::query(
            "INSERT INTO reference.usage_periods AS period (organization_id, project_id, month, batches, records) \
             VALUES ($1, $2, $3, 1, $4) ON CONFLICT (organization_id, project_id, month) DO UPDATE \
             SET batches = period.batches + 1, records = period.records + excluded.records",
        )
        .bind(self.organization)
        .bind(project.as_str())
        .bind(month)
        .bind(i64::from(records));
        self.run("usage.add_batch", upsert).await.map(|_| ())
    }

    async fn find(&mut self, project: &ProjectId, month: NaiveDate) -> Result<Option<UsagePeriod>, StoreError> {
        let select = sqlx::query_as::<_, (i64, i64)>(
            "SELECT batches, records FROM reference.usage_periods \
             WHERE organization_id = $1 AND project_id = $2 AND month = $3",
        )
        .bind(self.organization)
        .bind(project.as_str())
        .bind(month);
        let row = self.optional("usage.find", select).await?;
        Ok(row.map(|(batches, records)| UsagePeriod {
            month,
            batches: count(batches),
            records: count(records),
        }))
    }

    async fn periods(&mut self, project: &ProjectId, limit: u32) -> Result<Vec<UsagePeriod>, StoreError> {
        let select = sqlx::query_as::<_, (NaiveDate, i64, i64)>(
            "SELECT month, batches, records FROM reference.usage_periods \
             WHERE organization_id = $1 AND project_id = $2 ORDER BY month DESC LIMIT $3",
        )
        .bind(self.organization)
        .bind(project.as_str())
        .bind(i64::from(limit));
        let rows = self.all("usage.periods", select).await?;
        let period = |(month, batches, records)| UsagePeriod {
            month,
            batches: count(batches),
            records: count(records),
        };
        Ok(rows.into_iter().map(period).collect())
    }
}
