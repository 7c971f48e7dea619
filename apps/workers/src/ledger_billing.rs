//! What stands in for a billing provider: a ledger in the product's own database.

use aftercommit_domain::contract::{Cause, Tenant};
use aftercommit_domain::effects::IdempotencyKey;
use aftercommit_domain::failure::{Classified, ErrorClass};
use aftercommit_domain::reference::ReferencePorts;
use aftercommit_domain::reference::billing::{BillingError, BillingLedgerEntry, BillingProvider, MeteredUsage};
use async_trait::async_trait;

/// Takes each report down once for its key, in a transaction of its own. It charges nobody: a product of your own puts the client
/// of its billing provider in this place, behind the same port.
pub(crate) struct LedgerBilling {
    reference: ReferencePorts,
}

impl LedgerBilling {
    pub(crate) const fn new(reference: ReferencePorts) -> Self {
        Self { reference }
    }
}

#[async_trait]
impl BillingProvider for LedgerBilling {
    async fn report(&self, usage: &MeteredUsage, key: &IdempotencyKey) -> Result<(), BillingError> {
        let tenant = Tenant::project(&usage.organization_id, &usage.project_id);
        let entry = BillingLedgerEntry {
            idempotency_key: key.to_string(),
            usage: usage.clone(),
            at: self.reference.now(),
        };
        let begun = self.reference.units.begin(&tenant, &Cause::root()).await;
        let mut uow = begun.map_err(|error| of(&error))?;
        uow.billing_ledger().append(&entry).await.map_err(|error| of(&error))?;
        uow.commit().await.map_err(|error| of(&error))
    }
}

fn of(error: &impl Classified) -> BillingError {
    let reason = error.to_string();
    match error.class() {
        ErrorClass::Permanent => BillingError::Refused { reason },
        ErrorClass::Retryable | ErrorClass::Outage | ErrorClass::RateLimited => BillingError::Unavailable { reason },
    }
}
