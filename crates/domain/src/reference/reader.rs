//! Reads that happen before there is a unit of work, because they tell whose it is to be.

use async_trait::async_trait;

use crate::contract::Tenant;
use crate::reference::identity::{ApiKey, SignInLink};
use crate::reference::{Digest, InvitationId};
use crate::unit_of_work::StoreError;

/// Reads across tenants, by something only its owner knows or was given.
///
/// **Contract**: sees what was committed before the call. What it answers may be outdated a moment later, so whoever
/// changes something reads it again in a unit of work.
#[async_trait]
pub trait ReferenceReader: Send + Sync {
    /// The API key with this digest, revoked or not. `Ok(None)` when there is none.
    async fn api_key(&self, digest: &Digest) -> Result<Option<ApiKey>, StoreError>;

    /// The sign-in link with this token digest, used up or not. `Ok(None)` when there is none.
    async fn sign_in_link(&self, token: &Digest) -> Result<Option<SignInLink>, StoreError>;

    /// The project an invitation is for. `Ok(None)` when there is no such invitation.
    async fn tenant_of_invitation(&self, id: InvitationId) -> Result<Option<Tenant>, StoreError>;
}
