//! E-mail addresses and secrets in columns: sealed, each for its own row.

use aftercommit_domain::contract::{SealContext, SealedBytes, Sealer, Tenant};
use aftercommit_domain::effects::EmailAddress;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::unit_of_work::StoreError;
use uuid::Uuid;

use super::rows::corrupt;

/// Which column of which row it is in. A ciphertext that is moved to another one does not open.
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
        self.seal_text(sealer, email.as_str())
    }

    /// Opens the address this place holds.
    pub(super) fn open(&self, sealer: &dyn Sealer, key_id: String, bytes: Vec<u8>) -> Result<EmailAddress, StoreError> {
        let text = self.open_text(sealer, key_id, bytes)?;
        EmailAddress::new(text).map_err(|error| corrupt("an address", &error))
    }

    /// Seals text for this place.
    pub(super) fn seal_text(&self, sealer: &dyn Sealer, text: &str) -> Result<SealedBytes, StoreError> {
        sealer
            .seal(text.as_bytes(), &self.context())
            .map_err(|error| StoreError::Refused {
                operation: "seal a column",
                reason: error.to_string(),
            })
    }

    /// Opens the text this place holds.
    pub(super) fn open_text(&self, sealer: &dyn Sealer, key_id: String, bytes: Vec<u8>) -> Result<String, StoreError> {
        const WHAT: &str = "a sealed column";
        let kept = SealedBytes { key_id, bytes };
        let clear = sealer
            .open(&kept, &self.context())
            .map_err(|error| corrupt(WHAT, &error))?;
        String::from_utf8(clear).map_err(|error| corrupt(WHAT, &error.utf8_error()))
    }
}
