//! Exports in memory.

use aftercommit_domain::contract::ProjectId;
use aftercommit_domain::reference::ExportId;
use aftercommit_domain::reference::exports::{Export, ExportRepository, ExportState};
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;

use super::tables::Rows;

#[async_trait]
impl ExportRepository for Rows<'_> {
    async fn insert(&mut self, export: &Export) -> Result<(), StoreError> {
        let key = (export.organization_id.clone(), export.id);
        match self.tables.exports.insert(key, export.clone()) {
            None => Ok(()),
            Some(_) => Err(StoreError::Duplicate { what: "export" }),
        }
    }

    async fn find(&mut self, id: ExportId) -> Result<Option<Export>, StoreError> {
        let key = self.key(id);
        Ok(key.and_then(|key| self.tables.exports.get(&key)).cloned())
    }

    async fn of_project(
        &mut self,
        project: &ProjectId,
        after: Option<ExportId>,
        limit: u32,
    ) -> Result<Vec<Export>, StoreError> {
        let organization = self.organization.clone();
        let of_project = self.tables.exports.iter().filter(|((whose, id), export)| {
            Some(whose) == organization.as_ref() && export.project_id == *project && Some(*id) > after
        });
        Ok(of_project
            .map(|(_, export)| export.clone())
            .take(limit as usize)
            .collect())
    }

    async fn remove(&mut self, id: ExportId) -> Result<bool, StoreError> {
        let key = self.key(id);
        Ok(key.is_some_and(|key| self.tables.exports.remove(&key).is_some()))
    }

    async fn advance(&mut self, id: ExportId, state: &ExportState) -> Result<bool, StoreError> {
        let key = self.key(id);
        let found = key.and_then(|key| self.tables.exports.get_mut(&key));
        let open = found.filter(|export| !export.state.is_final());
        Ok(open.map(|export| export.state = state.clone()).is_some())
    }
}
