//! Reads across tenants, outside any unit of work: each by a function that answers this one row and nothing else.

use aftercommit_domain::contract::Tenant;
use aftercommit_domain::reference::identity::{ApiKey, SignInLink};
use aftercommit_domain::reference::{Digest, InvitationId, ReferenceReader};
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::QueryAs;
use sqlx::{FromRow, Postgres};

use super::PostgresReference;
use super::api_keys::ApiKeyRow;
use super::rows::{organization_id, project_id};
use super::sign_in_links::SignInLinkRow;
use crate::trouble::store_error;

impl PostgresReference {
    async fn read<T>(
        &self,
        operation: &'static str,
        select: QueryAs<'static, Postgres, T, PgArguments>,
    ) -> Result<Option<T>, StoreError>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin + 'static,
    {
        self.reads
            .run(|connection| Box::pin(select.fetch_optional(connection)))
            .await
            .map_err(|error| store_error(operation, &error))
    }
}

#[async_trait]
impl ReferenceReader for PostgresReference {
    async fn api_key(&self, digest: &Digest) -> Result<Option<ApiKey>, StoreError> {
        let select = sqlx::query_as::<_, ApiKeyRow>(
            "SELECT organization_id, id, project_id, digest, created_at, revoked_at \
             FROM reference.api_key_by_digest($1)",
        )
        .bind(digest.as_bytes().to_vec());
        let row = self.read("reader.api_key", select).await?;
        row.map(ApiKey::try_from).transpose()
    }

    async fn sign_in_link(&self, token: &Digest) -> Result<Option<SignInLink>, StoreError> {
        let select = sqlx::query_as::<_, SignInLinkRow>(
            "SELECT id, email_key, email, user_id, token, created_at, expires_at, used_at \
             FROM reference.sign_in_link_by_token($1)",
        )
        .bind(token.as_bytes().to_vec());
        let row = self.read("reader.sign_in_link", select).await?;
        row.map(|row| row.open(&*self.sealer)).transpose()
    }

    async fn tenant_of_invitation(&self, id: InvitationId) -> Result<Option<Tenant>, StoreError> {
        const WHAT: &str = "invitation";
        let select = sqlx::query_as::<_, (String, String)>(
            "SELECT organization_id, project_id FROM reference.tenant_of_invitation($1)",
        )
        .bind(id.uuid());
        let row = self.read("reader.tenant_of_invitation", select).await?;
        row.map(|(organization, project)| {
            Ok(Tenant::project(
                organization_id(&organization, WHAT)?,
                project_id(&project, WHAT)?,
            ))
        })
        .transpose()
    }
}
