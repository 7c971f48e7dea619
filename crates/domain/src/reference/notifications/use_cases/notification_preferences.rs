//! Shows and sets what a member wants to be told by e-mail.

use crate::contract::{Cause, Tenant};
use crate::reference::notifications::NotificationPreferences;
use crate::reference::{Caller, ReferencePorts, ReferenceUnitOfWork, Refusal, UseCaseError, UserId};

/// What a member of the caller's organization wants; everything, when they never said.
///
/// # Errors
/// [`Refusal::NotFound`] for somebody who is no member; the store.
pub async fn show_notification_preferences(
    ports: &ReferencePorts,
    caller: &Caller,
    cause: &Cause,
    user_id: UserId,
) -> Result<NotificationPreferences, UseCaseError> {
    let tenant = Tenant::organization(&caller.organization_id);
    let mut uow = ports.units.begin(&tenant, cause).await?;
    must_be_member(&mut *uow, user_id).await?;
    Ok(uow.notification_preferences().find(user_id).await?.unwrap_or_default())
}

/// Keeps what a member of the caller's organization wants. Setting the same again changes nothing.
///
/// # Errors
/// [`Refusal::NotFound`] for somebody who is no member; the store.
pub async fn set_notification_preferences(
    ports: &ReferencePorts,
    caller: &Caller,
    cause: &Cause,
    user_id: UserId,
    preferences: NotificationPreferences,
) -> Result<NotificationPreferences, UseCaseError> {
    let tenant = Tenant::organization(&caller.organization_id);
    let mut uow = ports.units.begin(&tenant, cause).await?;
    must_be_member(&mut *uow, user_id).await?;
    let now = ports.now();
    uow.notification_preferences().put(user_id, &preferences, now).await?;
    uow.commit().await?;
    Ok(preferences)
}

async fn must_be_member(uow: &mut dyn ReferenceUnitOfWork, user_id: UserId) -> Result<(), UseCaseError> {
    match uow.memberships().find(user_id).await? {
        Some(_) => Ok(()),
        None => Err(Refusal::NotFound { what: "user" }.into()),
    }
}
