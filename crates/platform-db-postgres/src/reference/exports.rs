//! Exports.

use aftercommit_domain::contract::ProjectId;
use aftercommit_domain::reference::exports::{Export, ExportColumns, ExportRepository, ExportState};
use aftercommit_domain::reference::{ExportId, Wrong};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;
use uuid::Uuid;

use super::rows::{Rows, corrupt, organization_id, project_id};
use crate::columns::count;

#[derive(sqlx::FromRow)]
struct ExportRow {
    id: Uuid,
    organization_id: String,
    project_id: String,
    kind: String,
    recipient_user_id: Uuid,
    requested_at: Timestamp,
    state: String,
    rows: i64,
    bytes: i64,
    file: Option<String>,
    reason: Option<String>,
    ended_at: Option<Timestamp>,
}

fn number(counted: u64) -> i64 {
    i64::try_from(counted).unwrap_or(i64::MAX)
}

#[async_trait]
impl ExportRepository for Rows<'_> {
    async fn insert(&mut self, export: &Export) -> Result<(), StoreError> {
        let columns = export.state.columns();
        let insert = sqlx::query(
            "INSERT INTO reference.exports (organization_id, id, project_id, kind, recipient_user_id, requested_at, \
             state, rows, bytes, file, reason, ended_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(export.organization_id.as_str())
        .bind(export.id.uuid())
        .bind(export.project_id.as_str())
        .bind(export.kind.as_str())
        .bind(export.recipient_user_id.uuid())
        .bind(export.requested_at)
        .bind(export.state.as_str())
        .bind(number(columns.rows))
        .bind(number(columns.bytes))
        .bind(columns.file)
        .bind(columns.reason)
        .bind(columns.ended_at);
        self.run("exports.insert", insert).await?;
        Ok(())
    }

    async fn find(&mut self, id: ExportId) -> Result<Option<Export>, StoreError> {
        let select = sqlx::query_as::<_, ExportRow>(
            "SELECT id, organization_id, project_id, kind, recipient_user_id, requested_at, state, rows, bytes, file, \
             reason, ended_at FROM reference.exports WHERE organization_id = $1 AND id = $2",
        )
        .bind(self.organization)
        .bind(id.uuid());
        let row = self.optional("exports.find", select).await?;
        row.map(ExportRow::read).transpose()
    }

    async fn of_project(
        &mut self,
        project: &ProjectId,
        after: Option<ExportId>,
        limit: u32,
    ) -> Result<Vec<Export>, StoreError> {
        let select = sqlx::query_as::<_, ExportRow>(
            "SELECT id, organization_id, project_id, kind, recipient_user_id, requested_at, state, rows, bytes, file, \
             reason, ended_at FROM reference.exports WHERE organization_id = $1 AND project_id = $2 \
             AND ($3 IS NULL OR id > $3) ORDER BY id LIMIT $4",
        )
        .bind(self.organization)
        .bind(project.as_str())
        .bind(after.map(ExportId::uuid))
        .bind(i64::from(limit));
        let rows = self.all("exports.of_project", select).await?;
        rows.into_iter().map(ExportRow::read).collect()
    }

    async fn remove(&mut self, id: ExportId) -> Result<bool, StoreError> {
        let delete = sqlx::query("DELETE FROM reference.exports WHERE organization_id = $1 AND id = $2")
            .bind(self.organization)
            .bind(id.uuid());
        Ok(self.run("exports.remove", delete).await? == 1)
    }

    async fn advance(&mut self, id: ExportId, state: &ExportState) -> Result<bool, StoreError> {
        let columns = state.columns();
        let update = sqlx::query(
            "UPDATE reference.exports SET state = $3, rows = $4, bytes = $5, file = $6, reason = $7, ended_at = $8 \
             WHERE organization_id = $1 AND id = $2 AND state IN ('requested', 'running')",
        )
        .bind(self.organization)
        .bind(id.uuid())
        .bind(state.as_str())
        .bind(number(columns.rows))
        .bind(number(columns.bytes))
        .bind(columns.file)
        .bind(columns.reason)
        .bind(columns.ended_at);
        Ok(self.run("exports.advance", update).await? == 1)
    }
}

impl ExportRow {
    fn read(self) -> Result<Export, StoreError> {
        const WHAT: &str = "export";
        let wrong = |wrong: Wrong| corrupt(WHAT, &wrong);
        let columns = ExportColumns {
            file: self.file.as_deref(),
            rows: count(self.rows),
            bytes: count(self.bytes),
            reason: self.reason.as_deref(),
            ended_at: self.ended_at,
        };
        Ok(Export {
            id: self.id.into(),
            organization_id: organization_id(&self.organization_id, WHAT)?,
            project_id: project_id(&self.project_id, WHAT)?,
            kind: self.kind.parse().map_err(wrong)?,
            recipient_user_id: self.recipient_user_id.into(),
            requested_at: self.requested_at,
            state: ExportState::from_columns(&self.state, columns).map_err(wrong)?,
        })
    }
}
