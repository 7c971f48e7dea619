//! E-mail addresses in columns: sealed, each for its own row.

use aftercommit_domain::contract::{SealContext, SealedBytes, Sealer, Tenant};
use aftercommit_domain::effects::EmailAddress;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::unit_of_work::StoreError;
use uuid::Uuid;

use super::rows::corrupt;

/// Which column of which row an address is in. A ciphertext that is moved to another one does not open.
pub(super) struct Place<'a> {
    pub(super) tenant: Tenant,
    pub(super) column: &'a str,
    pub(super) row: Uuid,
}

impl Place<'_> {
    fn context(&self) -> SealContext {
        SealContext {
            tenant: self.tenant.clone(),
            contract: self.column.to_owned(),
            message_id: MessageId::from(self.row),
        }
    }

    /// Seals an address for this place.
    pub(super) fn seal(&self, sealer: &dyn Sealer, email: &EmailAddress) -> Result<SealedBytes, StoreError> {
        sealer
            .seal(email.as_str().as_bytes(), &self.context())
            .map_err(|error| StoreError::Refused {
                operation: "seal an address",
                reason: error.to_string(),
            })
    }

    /// Opens what this place holds.
    pub(super) fn open(&self, sealer: &dyn Sealer, key_id: String, bytes: Vec<u8>) -> Result<EmailAddress, StoreError> {
        const WHAT: &str = "an address";
        let kept = SealedBytes { key_id, bytes };
        let clear = sealer
            .open(&kept, &self.context())
            .map_err(|error| corrupt(WHAT, &error))?;
        let text = std::str::from_utf8(&clear).map_err(|error| corrupt(WHAT, &error))?;
        EmailAddress::new(text).map_err(|error| corrupt(WHAT, &error))
    }
}
