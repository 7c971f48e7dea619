//! Projects.

use aftercommit_domain::contract::{OrganizationId, ProjectId};
use aftercommit_domain::reference::Name;
use aftercommit_domain::reference::projects::{Project, ProjectRepository};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;

use super::rows::{Rows, bounded, corrupt, organization_id, project_id, time};
use crate::columns::{micros, timestamp};

#[derive(sqlx::FromRow)]
struct ProjectRow {
    organization_id: String,
    id: String,
    name: String,
    is_default: bool,
    created_at: i64,
    provisioned_at: Option<i64>,
    first_record_at: Option<i64>,
    deleted_at: Option<i64>,
}

impl Rows<'_> {
    async fn mark(
        &mut self,
        operation: &'static str,
        update: &'static str,
        id: &ProjectId,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let update = sqlx::query(update)
            .bind(micros(at))
            .bind(self.organization)
            .bind(id.as_str());
        Ok(self.run(operation, update).await? == 1)
    }
}

#[async_trait]
impl ProjectRepository for Rows<'_> {
    async fn insert(&mut self, project: &Project) -> Result<(), StoreError> {
        let insert = sqlx::query(
            "INSERT INTO reference_projects (organization_id, id, name, is_default, created_at, provisioned_at, \
             first_record_at, deleted_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(project.organization_id.as_str())
        .bind(project.id.as_str())
        .bind(project.name.as_str())
        .bind(project.is_default)
        .bind(micros(project.created_at))
        .bind(project.provisioned_at.map(micros))
        .bind(project.first_record_at.map(micros))
        .bind(project.deleted_at.map(micros));
        self.run("projects.insert", insert).await?;
        Ok(())
    }

    async fn find(&mut self, id: &ProjectId) -> Result<Option<Project>, StoreError> {
        let select = sqlx::query_as::<_, ProjectRow>(
            "SELECT organization_id, id, name, is_default, created_at, provisioned_at, first_record_at, deleted_at \
             FROM reference_projects WHERE organization_id = ? AND id = ?",
        )
        .bind(self.organization)
        .bind(id.as_str());
        let row = bounded("projects.find", select.fetch_optional(&mut *self.connection)).await?;
        row.map(Project::try_from).transpose()
    }

    async fn list_live(
        &mut self,
        after: Option<(OrganizationId, ProjectId)>,
        limit: u32,
    ) -> Result<Vec<(OrganizationId, ProjectId)>, StoreError> {
        const WHAT: &str = "project";
        let (organization, project) = after.unzip();
        let select = sqlx::query_as::<_, (String, String)>(
            "SELECT organization_id, id FROM reference_projects \
             WHERE (?1 = '' OR organization_id = ?1) AND deleted_at IS NULL AND (organization_id, id) > (?2, ?3) \
             ORDER BY organization_id, id LIMIT ?4",
        )
        .bind(self.organization)
        .bind(organization.as_ref().map_or("", OrganizationId::as_str))
        .bind(project.as_ref().map_or("", ProjectId::as_str))
        .bind(limit);
        let rows = bounded("projects.list_live", select.fetch_all(&mut *self.connection)).await?;
        rows.iter()
            .map(|(organization, project)| Ok((organization_id(organization, WHAT)?, project_id(project, WHAT)?)))
            .collect()
    }

    async fn mark_deleted(&mut self, id: &ProjectId, at: Timestamp) -> Result<bool, StoreError> {
        self.mark(
            "projects.mark_deleted",
            "UPDATE reference_projects SET deleted_at = ? WHERE organization_id = ? AND id = ? AND deleted_at IS NULL",
            id,
            at,
        )
        .await
    }

    async fn mark_provisioned(&mut self, id: &ProjectId, at: Timestamp) -> Result<bool, StoreError> {
        self.mark(
            "projects.mark_provisioned",
            "UPDATE reference_projects SET provisioned_at = ? WHERE organization_id = ? AND id = ? \
             AND provisioned_at IS NULL AND deleted_at IS NULL",
            id,
            at,
        )
        .await
    }

    async fn mark_first_record(&mut self, id: &ProjectId, at: Timestamp) -> Result<bool, StoreError> {
        self.mark(
            "projects.mark_first_record",
            "UPDATE reference_projects SET first_record_at = ? WHERE organization_id = ? AND id = ? \
             AND first_record_at IS NULL AND deleted_at IS NULL",
            id,
            at,
        )
        .await
    }
}

impl TryFrom<ProjectRow> for Project {
    type Error = StoreError;

    fn try_from(row: ProjectRow) -> Result<Self, StoreError> {
        const WHAT: &str = "project";
        Ok(Self {
            id: project_id(&row.id, WHAT)?,
            organization_id: organization_id(&row.organization_id, WHAT)?,
            name: Name::new(&row.name).map_err(|error| corrupt(WHAT, &error))?,
            is_default: row.is_default,
            created_at: timestamp(row.created_at),
            provisioned_at: time(row.provisioned_at),
            first_record_at: time(row.first_record_at),
            deleted_at: time(row.deleted_at),
        })
    }
}
