//! What stands in for the services that a project uses outside the product.

use aftercommit_domain::contract::Tenant;
use aftercommit_domain::effects::IdempotencyKey;
use aftercommit_domain::reference::projects::{ProjectService, ProjectServiceError, ProjectServices};
use async_trait::async_trait;

/// Opens nothing and closes nothing: every project finds storage, search and metering in the product itself. A product of your
/// own puts the clients of its services in this place, behind the same port.
pub(crate) struct BuiltInServices;

#[async_trait]
impl ProjectServices for BuiltInServices {
    async fn open(
        &self,
        _project: &Tenant,
        _service: ProjectService,
        _key: &IdempotencyKey,
    ) -> Result<(), ProjectServiceError> {
        Ok(())
    }

    async fn close(
        &self,
        _project: &Tenant,
        _service: ProjectService,
        _key: &IdempotencyKey,
    ) -> Result<(), ProjectServiceError> {
        Ok(())
    }
}
