//! Usage.

use aftercommit_domain::contract::ProjectId;
use aftercommit_domain::reference::usage::{UsagePeriod, UsageRepository};
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;
use chrono::NaiveDate;

use super::rows::{Rows, bounded, corrupt};

#[async_trait]
impl UsageRepository for Rows<'_> {
    async fn add_batch(&mut self, project: &ProjectId, month: NaiveDate, records: u32) -> Result<(), StoreError> {
        let upsert = sqlx::query(
            "INSERT INTO reference_usage_periods (organization_id, project_id, month, batches, records) \
             VALUES (?, ?, ?, 1, ?) ON CONFLICT (organization_id, project_id, month) DO UPDATE \
             SET batches = batches + 1, records = records + excluded.records",
        )
        .bind(self.organization)
        .bind(project.as_str())
        .bind(month.to_string())
        .bind(records);
        self.run("usage.add_batch", upsert).await.map(|_| ())
    }

    async fn find(&mut self, project: &ProjectId, month: NaiveDate) -> Result<Option<UsagePeriod>, StoreError> {
        let select = sqlx::query_as::<_, (i64, i64)>(
            "SELECT batches, records FROM reference_usage_periods \
             WHERE organization_id = ? AND project_id = ? AND month = ?",
        )
        .bind(self.organization)
        .bind(project.as_str())
        .bind(month.to_string());
        let row = bounded("usage.find", select.fetch_optional(&mut *self.connection)).await?;
        Ok(row.map(|(batches, records)| UsagePeriod {
            month,
            batches: u64::try_from(batches).unwrap_or_default(),
            records: u64::try_from(records).unwrap_or_default(),
        }))
    }

    async fn periods(&mut self, project: &ProjectId, limit: u32) -> Result<Vec<UsagePeriod>, StoreError> {
        let select = sqlx::query_as::<_, (String, i64, i64)>(
            "SELECT month, batches, records FROM reference_usage_periods \
             WHERE organization_id = ? AND project_id = ? ORDER BY month DESC LIMIT ?",
        )
        .bind(self.organization)
        .bind(project.as_str())
        .bind(limit);
        let rows = bounded("usage.periods", select.fetch_all(&mut *self.connection)).await?;
        rows.into_iter()
            .map(|(month, batches, records)| {
                Ok(UsagePeriod {
                    month: month.parse().map_err(|error| corrupt("a usage period", &error))?,
                    batches: u64::try_from(batches).unwrap_or_default(),
                    records: u64::try_from(records).unwrap_or_default(),
                })
            })
            .collect()
    }
}
