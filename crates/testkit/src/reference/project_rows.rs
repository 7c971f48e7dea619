//! Organizations, projects and records in memory.

use aftercommit_domain::contract::{OrganizationId, ProjectId, StorageKey};
use aftercommit_domain::reference::RecordId;
use aftercommit_domain::reference::organizations::{Organization, OrganizationRepository};
use aftercommit_domain::reference::projects::{Project, ProjectRepository};
use aftercommit_domain::reference::records::{NewRecord, Record, RecordBody, RecordKey, RecordRepository};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;

use super::tables::{RecordRow, Rows};

#[async_trait]
impl OrganizationRepository for Rows<'_> {
    async fn insert(&mut self, organization: &Organization) -> Result<(), StoreError> {
        let row = (organization.id.clone(), organization.clone());
        match self.tables.organizations.insert(row.0, row.1) {
            None => Ok(()),
            Some(_) => Err(StoreError::Duplicate { what: "organization" }),
        }
    }

    async fn find(&mut self) -> Result<Option<Organization>, StoreError> {
        Ok(self
            .organization
            .as_ref()
            .and_then(|id| self.tables.organizations.get(id))
            .cloned())
    }
}

impl Rows<'_> {
    /// Sets a mark of a live project that it does not have.
    fn mark(
        &mut self,
        id: &ProjectId,
        at: Timestamp,
        mark: impl FnOnce(&mut Project) -> &mut Option<Timestamp>,
    ) -> bool {
        let key = self.key(id.clone());
        let project = key.and_then(|key| self.tables.projects.get_mut(&key));
        let Some(project) = project.filter(|project| project.is_live()) else {
            return false;
        };
        let mark = mark(project);
        if mark.is_some() {
            return false;
        }
        *mark = Some(at);
        true
    }
}

#[async_trait]
impl ProjectRepository for Rows<'_> {
    async fn insert(&mut self, project: &Project) -> Result<(), StoreError> {
        let key = (project.organization_id.clone(), project.id.clone());
        match self.tables.projects.insert(key, project.clone()) {
            None => Ok(()),
            Some(_) => Err(StoreError::Duplicate { what: "project" }),
        }
    }

    async fn find(&mut self, id: &ProjectId) -> Result<Option<Project>, StoreError> {
        let key = self.key(id.clone());
        Ok(key.and_then(|key| self.tables.projects.get(&key)).cloned())
    }

    async fn list_live(
        &mut self,
        after: Option<(OrganizationId, ProjectId)>,
        limit: u32,
    ) -> Result<Vec<(OrganizationId, ProjectId)>, StoreError> {
        let text = |(organization, project): &(OrganizationId, ProjectId)| {
            (organization.as_str().to_owned(), project.as_str().to_owned())
        };
        let after = after.as_ref().map(text);
        let rows = self.tables.projects.iter();
        let live = rows.filter(|(key, project)| {
            self.lists(&key.0) && project.is_live() && after.as_ref().is_none_or(|after| text(key) > *after)
        });
        let mut live: Vec<_> = live.map(|(key, _)| key.clone()).collect();
        live.sort_by_key(text);
        live.truncate(limit as usize);
        Ok(live)
    }

    async fn mark_deleted(&mut self, id: &ProjectId, at: Timestamp) -> Result<bool, StoreError> {
        Ok(self.mark(id, at, |project| &mut project.deleted_at))
    }

    async fn mark_provisioned(&mut self, id: &ProjectId, at: Timestamp) -> Result<bool, StoreError> {
        Ok(self.mark(id, at, |project| &mut project.provisioned_at))
    }

    async fn mark_first_record(&mut self, id: &ProjectId, at: Timestamp) -> Result<bool, StoreError> {
        Ok(self.mark(id, at, |project| &mut project.first_record_at))
    }
}

#[async_trait]
impl RecordRepository for Rows<'_> {
    async fn upsert(
        &mut self,
        project: &ProjectId,
        batch: &StorageKey,
        records: &[NewRecord],
        new_ids: &[RecordId],
        at: Timestamp,
    ) -> Result<Vec<RecordId>, StoreError> {
        let Some((organization, project)) = self.key(project.clone()) else {
            return Ok(Vec::new());
        };
        let mut ids = Vec::with_capacity(records.len());
        for (record, new_id) in records.iter().zip(new_ids) {
            let key = (organization.clone(), project.clone(), record.key.as_str().to_owned());
            let row = self.tables.records.entry(key).or_insert(RecordRow {
                id: *new_id,
                body: String::new(),
                batch: batch.clone(),
                received_at: at,
            });
            record.body.as_str().clone_into(&mut row.body);
            (row.batch, row.received_at) = (batch.clone(), at);
            ids.push(row.id);
        }
        Ok(ids)
    }

    async fn find(&mut self, project: &ProjectId, id: RecordId) -> Result<Option<Record>, StoreError> {
        let mut rows = self.tables.records.iter();
        let found = rows.find(|((of, from, _), row)| self.sees(of) && from == project && row.id == id);
        found.map(|((_, _, key), row)| record(project, key, row)).transpose()
    }

    async fn of_batch(
        &mut self,
        project: &ProjectId,
        batch: &StorageKey,
        after: Option<RecordId>,
        limit: u32,
    ) -> Result<Vec<RecordId>, StoreError> {
        let rows = self.tables.records.iter();
        let of_batch = rows.filter(|((of, from, _), row)| self.sees(of) && from == project && row.batch == *batch);
        let mut ids: Vec<RecordId> = of_batch.map(|(_, row)| row.id).filter(|id| Some(*id) > after).collect();
        ids.sort_unstable();
        ids.truncate(limit as usize);
        Ok(ids)
    }

    async fn page(
        &mut self,
        project: &ProjectId,
        after: Option<RecordId>,
        limit: u32,
    ) -> Result<Vec<Record>, StoreError> {
        let rows = self.tables.records.iter();
        let mut found: Vec<_> = rows
            .filter(|((of, from, _), row)| self.sees(of) && from == project && Some(row.id) > after)
            .collect();
        found.sort_unstable_by_key(|(_, row)| row.id);
        found.truncate(limit as usize);
        let found = found.into_iter();
        found.map(|((_, _, key), row)| record(project, key, row)).collect()
    }

    async fn count_received(
        &mut self,
        project: &ProjectId,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<u64, StoreError> {
        let rows = self.tables.records.iter();
        let own = rows.filter(|((of, taken_by, _), row)| {
            self.sees(of) && taken_by == project && from <= row.received_at && row.received_at < until
        });
        Ok(own.count() as u64)
    }

    async fn any(&mut self, project: &ProjectId) -> Result<bool, StoreError> {
        let key = self.key(project.clone());
        Ok(self.tables.records.keys().any(|(organization, project, _)| {
            key.as_ref()
                .is_some_and(|key| key.0 == *organization && key.1 == *project)
        }))
    }

    async fn purge(&mut self, project: &ProjectId, limit: u32) -> Result<u64, StoreError> {
        let mut left = u64::from(limit);
        let organization = self.organization.clone();
        let search = &mut self.tables.search;
        self.tables.records.retain(|(of, from, _), row| {
            let purged = left > 0 && organization.as_ref() == Some(of) && from == project;
            left -= u64::from(purged);
            if purged {
                search.remove(&(of.clone(), from.clone(), row.id));
            }
            !purged
        });
        Ok(u64::from(limit) - left)
    }
}

fn record(project: &ProjectId, key: &str, row: &RecordRow) -> Result<Record, StoreError> {
    let corrupt = |wrong: aftercommit_domain::reference::Wrong| StoreError::Corrupt {
        what: "record",
        reason: wrong.to_string(),
    };
    Ok(Record {
        id: row.id,
        project_id: project.clone(),
        key: RecordKey::new(key.to_owned()).map_err(corrupt)?,
        body: RecordBody::new(row.body.clone()).map_err(corrupt)?,
        received_at: row.received_at,
    })
}
