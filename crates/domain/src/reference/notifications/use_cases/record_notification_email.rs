//! Records that a notification's e-mail was sent.

use crate::contract::{Cause, Contract};
use crate::reference::notifications::SendNotificationEmail;
use crate::reference::{ReferencePorts, UseCaseError};

/// Records it, so that no other task sends it again.
///
/// # Errors
/// The store; the e-mail may then be sent again, under the same idempotency key.
pub async fn record_notification_email(
    ports: &ReferencePorts,
    cause: &Cause,
    task: &SendNotificationEmail,
) -> Result<(), UseCaseError> {
    let mut uow = ports.units.begin(&task.tenant(), cause).await?;
    let now = ports.now();
    uow.notifications().record_emailed(task.notification_id, now).await?;
    uow.commit().await?;
    Ok(())
}
