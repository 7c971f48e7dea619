//! Tells who calls.

use crate::reference::identity::ApiKey;
use crate::reference::{Caller, ReferencePorts, Secret, UseCaseError};

/// Who calls with the presented key. `Ok(None)` when it is no key, unknown or revoked: nobody learns which.
///
/// # Errors
/// The store.
pub async fn authenticate(ports: &ReferencePorts, presented: &str) -> Result<Option<Caller>, UseCaseError> {
    let Some(secret) = Secret::presented(presented) else {
        return Ok(None);
    };
    Ok(ports.reader.api_key(&secret.digest()).await?.and_then(ApiKey::caller))
}
