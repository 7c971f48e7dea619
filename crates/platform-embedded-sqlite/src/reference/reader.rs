//! Reads across tenants, outside any unit of work.

use aftercommit_domain::contract::Tenant;
use aftercommit_domain::reference::identity::{ApiKey, SignInLink};
use aftercommit_domain::reference::{Digest, InvitationId, ReferenceReader};
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;

use super::SqliteReference;
use super::api_keys::ApiKeyRow;
use super::rows::{bounded, organization_id, project_id};
use super::sign_in_links::SignInLinkRow;

#[async_trait]
impl ReferenceReader for SqliteReference {
    async fn api_key(&self, digest: &Digest) -> Result<Option<ApiKey>, StoreError> {
        let select = sqlx::query_as::<_, ApiKeyRow>(
            "SELECT organization_id, id, project_id, digest, created_at, revoked_at FROM reference_api_keys \
             WHERE digest = ?",
        )
        .bind(digest.as_bytes().to_vec());
        let row = bounded("reader.api_key", select.fetch_optional(self.database.reader())).await?;
        row.map(ApiKey::try_from).transpose()
    }

    async fn sign_in_link(&self, token: &Digest) -> Result<Option<SignInLink>, StoreError> {
        let select = sqlx::query_as::<_, SignInLinkRow>(
            "SELECT id, email_key, email, user_id, token, created_at, expires_at, used_at \
             FROM reference_sign_in_links WHERE token = ?",
        )
        .bind(token.as_bytes().to_vec());
        let row = bounded("reader.sign_in_link", select.fetch_optional(self.database.reader())).await?;
        row.map(|row| row.open(&*self.sealer)).transpose()
    }

    async fn tenant_of_invitation(&self, id: InvitationId) -> Result<Option<Tenant>, StoreError> {
        const WHAT: &str = "invitation";
        let select = sqlx::query_as::<_, (String, String)>(
            "SELECT organization_id, project_id FROM reference_invitations WHERE id = ?",
        )
        .bind(id.uuid());
        let row = bounded(
            "reader.tenant_of_invitation",
            select.fetch_optional(self.database.reader()),
        )
        .await?;
        row.map(|(organization, project)| {
            Ok(Tenant::project(
                organization_id(&organization, WHAT)?,
                project_id(&project, WHAT)?,
            ))
        })
        .transpose()
    }
}
