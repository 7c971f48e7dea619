//! Organizations.

use aftercommit_domain::reference::Name;
use aftercommit_domain::reference::organizations::{Organization, OrganizationRepository};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;

use super::rows::{Rows, corrupt, organization_id};

#[async_trait]
impl OrganizationRepository for Rows<'_> {
    async fn insert(&mut self, organization: &Organization) -> Result<(), StoreError> {
        let insert = sqlx::query("INSERT INTO reference.organizations (id, name, created_at) VALUES ($1, $2, $3)")
            .bind(organization.id.as_str())
            .bind(organization.name.as_str())
            .bind(organization.created_at);
        self.run("organizations.insert", insert).await?;
        Ok(())
    }

    async fn find(&mut self) -> Result<Option<Organization>, StoreError> {
        const WHAT: &str = "organization";
        let select = sqlx::query_as::<_, (String, String, Timestamp)>(
            "SELECT id, name, created_at FROM reference.organizations WHERE id = $1",
        )
        .bind(self.organization);
        let row = self.optional("organizations.find", select).await?;
        row.map(|(id, name, created_at)| {
            Ok(Organization {
                id: organization_id(&id, WHAT)?,
                name: Name::new(&name).map_err(|error| corrupt(WHAT, &error))?,
                created_at,
            })
        })
        .transpose()
    }
}
