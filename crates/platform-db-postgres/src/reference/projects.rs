//! Projects.

use aftercommit_domain::contract::{OrganizationId, ProjectId};
use aftercommit_domain::reference::Name;
use aftercommit_domain::reference::projects::{Project, ProjectRepository};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;

use super::rows::{Rows, corrupt, organization_id, project_id};

#[derive(sqlx::FromRow)]
struct ProjectRow {
    organization_id: String,
    id: String,
    name: String,
    is_default: bool,
    created_at: Timestamp,
    provisioned_at: Option<Timestamp>,
    first_record_at: Option<Timestamp>,
    deleted_at: Option<Timestamp>,
}

impl Rows<'_> {
    async fn mark(
        &mut self,
        operation: &'static str,
        update: &'static str,
        id: &ProjectId,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let update = sqlx::query(update).bind(at).bind(self.organization).bind(id.as_str());
        Ok(self.run(operation, update).await? == 1)
    }
}

#[async_trait]
impl ProjectRepository for Rows<'_> {
    async fn insert(&mut self, project: &Project) -> Result<(), StoreError> {
        let insert = sqlx::query(
            "INSERT INTO reference.projects (organization_id, id, name, is_default, created_at, provisioned_at, \
             first_record_at, deleted_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(project.organization_id.as_str())
        .bind(project.id.as_str())
        .bind(project.name.as_str())
        .bind(project.is_default)
        .bind(project.created_at)
        .bind(project.provisioned_at)
        .bind(project.first_record_at)
        .bind(project.deleted_at);
        self.run("projects.insert", insert).await?;
        Ok(())
    }

    async fn find(&mut self, id: &ProjectId) -> Result<Option<Project>, StoreError> {
        let select = sqlx::query_as::<_, ProjectRow>(
            "SELECT organization_id, id, name, is_default, created_at, provisioned_at, first_record_at, deleted_at \
             FROM reference.projects WHERE organization_id = $1 AND id = $2",
        )
        .bind(self.organization)
        .bind(id.as_str());
        let row = self.optional("projects.find", select).await?;
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
            "SELECT organization_id, id FROM reference.projects \
             WHERE ($1 = '' OR organization_id = $1) AND deleted_at IS NULL AND (organization_id, id) > ($2, $3) \
             ORDER BY organization_id, id LIMIT $4",
        )
        .bind(self.organization)
        .bind(organization.as_ref().map_or("", OrganizationId::as_str))
        .bind(project.as_ref().map_or("", ProjectId::as_str))
        .bind(i64::from(limit));
        let rows = self.all("projects.list_live", select).await?;
        rows.iter()
            .map(|(organization, project)| Ok((organization_id(organization, WHAT)?, project_id(project, WHAT)?)))
            .collect()
    }

    async fn mark_deleted(&mut self, id: &ProjectId, at: Timestamp) -> Result<bool, StoreError> {
        self.mark(
            "projects.mark_deleted",
            "UPDATE reference.projects SET deleted_at = $1 \
             WHERE organization_id = $2 AND id = $3 AND deleted_at IS NULL",
            id,
            at,
        )
        .await
    }

    async fn mark_provisioned(&mut self, id: &ProjectId, at: Timestamp) -> Result<bool, StoreError> {
        self.mark(
            "projects.mark_provisioned",
            "UPDATE reference.projects SET provisioned_at = $1 WHERE organization_id = $2 AND id = $3 \
             AND provisioned_at IS NULL AND deleted_at IS NULL",
            id,
            at,
        )
        .await
    }

    async fn mark_first_record(&mut self, id: &ProjectId, at: Timestamp) -> Result<bool, StoreError> {
        self.mark(
            "projects.mark_first_record",
            "UPDATE reference.projects SET first_record_at = $1 WHERE organization_id = $2 AND id = $3 \
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
            created_at: row.created_at,
            provisioned_at: row.provisioned_at,
            first_record_at: row.first_record_at,
            deleted_at: row.deleted_at,
        })
    }
}
