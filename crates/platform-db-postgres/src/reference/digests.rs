//! Digests.

use aftercommit_domain::reference::WeeklyDigestId;
use aftercommit_domain::reference::digests::{WeeklyDigest, WeeklyDigestRepository};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;

use super::rows::{Rows, organization_id, project_id};
use crate::columns::count;

#[async_trait]
impl WeeklyDigestRepository for Rows<'_> {
    async fn insert_if_absent(&mut self, digest: &WeeklyDigest) -> Result<bool, StoreError> {
        let number = |counted: u64| i64::try_from(counted).unwrap_or(i64::MAX);
        let insert = sqlx::query(
            "INSERT INTO reference.digests (organization_id, id, project_id, until, records, incidents_opened, \
             incidents_closed, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (organization_id, project_id, until) DO NOTHING",
        )
        .bind(digest.organization_id.as_str())
        .bind(digest.id.uuid())
        .bind(digest.project_id.as_str())
        .bind(digest.until)
        .bind(number(digest.records))
        .bind(number(digest.incidents_opened))
        .bind(number(digest.incidents_closed))
        .bind(digest.created_at);
        Ok(self.run("digests.insert_if_absent", insert).await? == 1)
    }

    async fn find(&mut self, id: WeeklyDigestId) -> Result<Option<WeeklyDigest>, StoreError> {
        const WHAT: &str = "digest";
        let select = sqlx::query_as::<_, (String, String, Timestamp, i64, i64, i64, Timestamp)>(
            "SELECT organization_id, project_id, until, records, incidents_opened, incidents_closed, created_at \
             FROM reference.digests WHERE organization_id = $1 AND id = $2",
        )
        .bind(self.organization)
        .bind(id.uuid());
        let row = self.optional("digests.find", select).await?;
        row.map(|(organization, project, until, records, opened, closed, created_at)| {
            Ok(WeeklyDigest {
                id,
                organization_id: organization_id(&organization, WHAT)?,
                project_id: project_id(&project, WHAT)?,
                until,
                records: count(records),
                incidents_opened: count(opened),
                incidents_closed: count(closed),
                created_at,
            })
        })
        .transpose()
    }
}
