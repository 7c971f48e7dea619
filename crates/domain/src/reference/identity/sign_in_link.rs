//! A link that signs someone in, once.

use crate::effects::EmailAddress;
use crate::reference::{Digest, SignInLinkId, UserId};
use crate::time::Timestamp;

/// A link that signs someone in, once, for a short time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInLink {
    /// Its id.
    pub id: SignInLinkId,
    /// Whom it was sent to. Stores keep it sealed.
    pub email: EmailAddress,
    /// Who that was when it was asked for; `None` for the sign-up variant.
    pub user_id: Option<UserId>,
    /// The digest of its token.
    pub token: Digest,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// From when on it does not work.
    pub expires_at: Timestamp,
    /// When it was followed.
    pub used_at: Option<Timestamp>,
}

impl SignInLink {
    /// Whether following it at `now` signs in.
    pub fn works_at(&self, now: Timestamp) -> bool {
        self.used_at.is_none() && now < self.expires_at
    }
}
