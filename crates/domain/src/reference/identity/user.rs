//! A person.

use crate::effects::EmailAddress;
use crate::reference::{Digest, InvalidInput, ReferencePorts, UserId};
use crate::time::Timestamp;

/// A person, who may belong to several organizations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// Their address. Stores keep it sealed and find it by [`User::email_digest`].
    pub email: EmailAddress,
    /// When they were made.
    pub created_at: Timestamp,
}

impl User {
    /// A new person.
    pub fn new(ports: &ReferencePorts, email: EmailAddress) -> Self {
        Self {
            id: UserId::new(&*ports.ids),
            email,
            created_at: ports.now(),
        }
    }

    /// The address of somebody who was deleted: it leads nowhere, and says nothing of who they were.
    ///
    /// # Errors
    /// Never for an id of this product.
    pub fn anonymous_email(id: UserId) -> Result<EmailAddress, InvalidInput> {
        let address = EmailAddress::new(format!("{id}@deleted.invalid"));
        address.map_err(|error| InvalidInput::of("email", "invalid_email", error.to_string()))
    }

    /// What people are told apart by: nobody's mail server tells `Ada@` from `ada@`.
    pub fn email_digest(email: &EmailAddress) -> Digest {
        Digest::of(email.as_str().to_ascii_lowercase())
    }
}
