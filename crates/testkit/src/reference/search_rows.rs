//! The search index in memory.

use std::cmp::Reverse;

use aftercommit_domain::contract::ProjectId;
use aftercommit_domain::reference::RecordId;
use aftercommit_domain::reference::search::{SearchIndexRepository, SearchText};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;

use super::tables::Rows;

#[async_trait]
impl SearchIndexRepository for Rows<'_> {
    async fn put(
        &mut self,
        project: &ProjectId,
        record: RecordId,
        text: &SearchText,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let Some((organization, project)) = self.key(project.clone()) else {
            return Ok(false);
        };
        let is_there = self
            .tables
            .records
            .iter()
            .any(|((of, from, _), row)| *of == organization && *from == project && row.id == record);
        if is_there {
            let key = (organization, project, record);
            self.tables.search.insert(key, (text.as_str().to_owned(), at));
        }
        Ok(is_there)
    }

    async fn search(
        &mut self,
        project: &ProjectId,
        text: &SearchText,
        limit: u32,
    ) -> Result<Vec<RecordId>, StoreError> {
        let rows = self.tables.search.iter();
        let mut found: Vec<(Timestamp, RecordId)> = rows
            .filter(|((of, from, _), (said, _))| self.sees(of) && from == project && said.contains(text.as_str()))
            .map(|((_, _, record), (_, at))| (*at, *record))
            .collect();
        found.sort_by_key(|(at, record)| (Reverse(*at), *record));
        found.truncate(limit as usize);
        Ok(found.into_iter().map(|(_, record)| record).collect())
    }

    async fn purge(&mut self, project: &ProjectId, limit: u32) -> Result<u64, StoreError> {
        let mut left = u64::from(limit);
        let organization = self.organization.clone();
        self.tables.search.retain(|(of, from, _), _| {
            let purged = left > 0 && organization.as_ref() == Some(of) && from == project;
            left -= u64::from(purged);
            !purged
        });
        Ok(u64::from(limit) - left)
    }
}
