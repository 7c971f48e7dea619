//! Incidents.

use aftercommit_domain::contract::ProjectId;
use aftercommit_domain::reference::incidents::{Incident, IncidentCounts, IncidentRepository, IncidentSource};
use aftercommit_domain::reference::records::RecordKey;
use aftercommit_domain::reference::{IncidentId, RecordId, Wrong};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;
use uuid::Uuid;

use super::rows::{Rows, corrupt, organization_id, project_id};
use crate::columns::count;

#[derive(sqlx::FromRow)]
struct IncidentRow {
    organization_id: String,
    id: Uuid,
    project_id: String,
    source: String,
    record_id: Uuid,
    told_at: Timestamp,
    opened_at: Timestamp,
    closed_at: Option<Timestamp>,
    closed_told_at: Option<Timestamp>,
}

#[async_trait]
impl IncidentRepository for Rows<'_> {
    async fn open(&mut self, incident: &Incident) -> Result<bool, StoreError> {
        let insert = sqlx::query(
            "INSERT INTO reference.incidents (organization_id, id, project_id, source, record_id, told_at, opened_at, \
             closed_at, closed_told_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
             ON CONFLICT (organization_id, project_id, source) WHERE closed_at IS NULL DO NOTHING",
        )
        .bind(incident.organization_id.as_str())
        .bind(incident.id.uuid())
        .bind(incident.project_id.as_str())
        .bind(incident.source.as_str())
        .bind(incident.record_id.uuid())
        .bind(incident.told_at)
        .bind(incident.opened_at)
        .bind(incident.closed.map(|(at, _)| at))
        .bind(incident.closed.map(|(_, told_at)| told_at));
        Ok(self.run("incidents.open", insert).await? == 1)
    }

    async fn close(&mut self, id: IncidentId, at: Timestamp, told_at: Timestamp) -> Result<bool, StoreError> {
        let update = sqlx::query(
            "UPDATE reference.incidents SET closed_at = $1, closed_told_at = $2 \
             WHERE organization_id = $3 AND id = $4 AND closed_at IS NULL",
        )
        .bind(at)
        .bind(told_at)
        .bind(self.organization)
        .bind(id.uuid());
        Ok(self.run("incidents.close", update).await? == 1)
    }

    async fn find(&mut self, id: IncidentId) -> Result<Option<Incident>, StoreError> {
        let select = sqlx::query_as::<_, IncidentRow>(
            "SELECT organization_id, id, project_id, source, record_id, told_at, opened_at, closed_at, closed_told_at \
             FROM reference.incidents WHERE organization_id = $1 AND id = $2",
        )
        .bind(self.organization)
        .bind(id.uuid());
        let row = self.optional("incidents.find", select).await?;
        row.map(Incident::try_from).transpose()
    }

    async fn latest(&mut self, project: &ProjectId, source: &IncidentSource) -> Result<Option<Incident>, StoreError> {
        let select = sqlx::query_as::<_, IncidentRow>(
            "SELECT organization_id, id, project_id, source, record_id, told_at, opened_at, closed_at, closed_told_at \
             FROM reference.incidents WHERE organization_id = $1 AND project_id = $2 AND source = $3 \
             ORDER BY told_at DESC, id DESC LIMIT 1",
        )
        .bind(self.organization)
        .bind(project.as_str())
        .bind(source.as_str());
        let row = self.optional("incidents.latest", select).await?;
        row.map(Incident::try_from).transpose()
    }

    async fn list_open(&mut self, after: Option<IncidentId>, limit: u32) -> Result<Vec<Incident>, StoreError> {
        let select = sqlx::query_as::<_, IncidentRow>(
            "SELECT organization_id, id, project_id, source, record_id, told_at, opened_at, closed_at, closed_told_at \
             FROM reference.incidents WHERE ($1 = '' OR organization_id = $1) AND closed_at IS NULL AND id > $2 \
             ORDER BY id LIMIT $3",
        )
        .bind(self.organization)
        .bind(after.map_or(Uuid::nil(), IncidentId::uuid))
        .bind(i64::from(limit));
        let rows = self.all("incidents.list_open", select).await?;
        rows.into_iter().map(Incident::try_from).collect()
    }

    async fn count(
        &mut self,
        project: &ProjectId,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<IncidentCounts, StoreError> {
        let select = sqlx::query_as::<_, (i64, i64)>(
            "SELECT count(*) FILTER (WHERE opened_at >= $3 AND opened_at < $4), \
                count(*) FILTER (WHERE closed_at >= $3 AND closed_at < $4) \
             FROM reference.incidents WHERE organization_id = $1 AND project_id = $2",
        )
        .bind(self.organization)
        .bind(project.as_str())
        .bind(from)
        .bind(until);
        let (opened, closed) = self.one("incidents.count", select).await?;
        Ok(IncidentCounts {
            opened: count(opened),
            closed: count(closed),
        })
    }
}

impl TryFrom<IncidentRow> for Incident {
    type Error = StoreError;

    fn try_from(row: IncidentRow) -> Result<Self, StoreError> {
        const WHAT: &str = "incident";
        let source = RecordKey::new(row.source).map_err(|wrong: Wrong| corrupt(WHAT, &wrong))?;
        Ok(Self {
            id: IncidentId::from(row.id),
            organization_id: organization_id(&row.organization_id, WHAT)?,
            project_id: project_id(&row.project_id, WHAT)?,
            source: IncidentSource::from(source),
            record_id: RecordId::from(row.record_id),
            told_at: row.told_at,
            opened_at: row.opened_at,
            closed: row.closed_at.zip(row.closed_told_at),
        })
    }
}
