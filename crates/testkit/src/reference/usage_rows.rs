//! Usage in memory.

use aftercommit_domain::contract::ProjectId;
use aftercommit_domain::reference::usage::{UsagePeriod, UsageRepository};
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;
use chrono::NaiveDate;

use super::tables::Rows;

#[async_trait]
impl UsageRepository for Rows<'_> {
    async fn add_batch(&mut self, project: &ProjectId, month: NaiveDate, records: u32) -> Result<(), StoreError> {
        let Some((organization, project)) = self.key(project.clone()) else {
            return Ok(());
        };
        let empty = UsagePeriod {
            month,
            batches: 0,
            records: 0,
        };
        let key = (organization, project, month);
        let period = self.tables.usage.entry(key).or_insert(empty);
        period.batches += 1;
        period.records += u64::from(records);
        Ok(())
    }

    async fn find(&mut self, project: &ProjectId, month: NaiveDate) -> Result<Option<UsagePeriod>, StoreError> {
        let Some((organization, project)) = self.key(project.clone()) else {
            return Ok(None);
        };
        Ok(self.tables.usage.get(&(organization, project, month)).copied())
    }

    async fn periods(&mut self, project: &ProjectId, limit: u32) -> Result<Vec<UsagePeriod>, StoreError> {
        let own = |(organization, of, _): &(_, ProjectId, _)| self.sees(organization) && of == project;
        let newest_first = self.tables.usage.iter().rev().filter(|(key, _)| own(key));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(newest_first.map(|(_, period)| *period).take(limit).collect())
    }
}
