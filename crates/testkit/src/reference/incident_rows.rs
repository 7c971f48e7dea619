//! Incidents in memory.

use aftercommit_domain::contract::ProjectId;
use aftercommit_domain::reference::IncidentId;
use aftercommit_domain::reference::incidents::{Incident, IncidentCounts, IncidentRepository, IncidentSource};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;

use super::tables::Rows;

#[async_trait]
impl IncidentRepository for Rows<'_> {
    async fn open(&mut self, incident: &Incident) -> Result<bool, StoreError> {
        let latest = self.latest(&incident.project_id, &incident.source).await?;
        if latest.is_some_and(|latest| latest.closed.is_none()) {
            return Ok(false);
        }
        self.tables.incidents.insert(incident.id, incident.clone());
        Ok(true)
    }

    async fn close(&mut self, id: IncidentId, at: Timestamp, told_at: Timestamp) -> Result<bool, StoreError> {
        let organization = self.organization.clone();
        let incident = self.tables.incidents.get_mut(&id);
        let open = incident
            .filter(|incident| organization.as_ref() == Some(&incident.organization_id) && incident.closed.is_none());
        Ok(open.map(|incident| incident.closed = Some((at, told_at))).is_some())
    }

    async fn find(&mut self, id: IncidentId) -> Result<Option<Incident>, StoreError> {
        let incident = self.tables.incidents.get(&id);
        Ok(incident
            .filter(|incident| self.sees(&incident.organization_id))
            .cloned())
    }

    async fn latest(&mut self, project: &ProjectId, source: &IncidentSource) -> Result<Option<Incident>, StoreError> {
        let rows = self.tables.incidents.values().filter(|incident| {
            self.sees(&incident.organization_id) && incident.project_id == *project && incident.source == *source
        });
        Ok(rows.max_by_key(|incident| (incident.told_at, incident.id)).cloned())
    }

    async fn list_open(&mut self, after: Option<IncidentId>, limit: u32) -> Result<Vec<Incident>, StoreError> {
        let rows = self.tables.incidents.values().filter(|incident| {
            self.lists(&incident.organization_id) && incident.closed.is_none() && Some(incident.id) > after
        });
        Ok(rows.take(limit as usize).cloned().collect())
    }

    async fn count(
        &mut self,
        project: &ProjectId,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<IncidentCounts, StoreError> {
        let within = |at: Timestamp| from <= at && at < until;
        let rows = self.tables.incidents.values();
        let own = rows.filter(|incident| self.sees(&incident.organization_id) && incident.project_id == *project);
        Ok(own.fold(IncidentCounts::default(), |counts, incident| IncidentCounts {
            opened: counts.opened + u64::from(within(incident.opened_at)),
            closed: counts.closed + u64::from(incident.closed.is_some_and(|(at, _)| within(at))),
        }))
    }
}
