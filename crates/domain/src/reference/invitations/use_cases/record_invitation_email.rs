//! Records that an invitation's e-mail was sent.

use crate::contract::{Cause, Contract};
use crate::reference::invitations::SendInvitationEmail;
use crate::reference::{ReferencePorts, UseCaseError};

/// Records it, so that no other task sends it again.
///
/// # Errors
/// The store; the e-mail may then be sent again, under the same idempotency key.
pub async fn record_invitation_email(
    ports: &ReferencePorts,
    cause: &Cause,
    task: &SendInvitationEmail,
) -> Result<(), UseCaseError> {
    let mut uow = ports.units.begin(&task.tenant(), cause).await?;
    uow.invitations()
        .record_emailed(task.invitation_id, ports.now())
        .await?;
    uow.commit().await?;
    Ok(())
}
