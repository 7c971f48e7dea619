//! `invitations`/`expire`: tells of an invitation that nobody accepted in time.

use aftercommit_domain::reference::ReferencePorts;
use aftercommit_domain::reference::invitations::ExpireInvitation;
use aftercommit_domain::reference::invitations::use_cases::expire_invitation;
use aftercommit_domain::tasks::{TaskContext, TaskHandler, TaskResult};
use async_trait::async_trait;

/// Nothing but the use case: the expiry is recorded and told of in one transaction.
pub(crate) struct ExpireInvitationHandler {
    reference: ReferencePorts,
}

impl ExpireInvitationHandler {
    pub(crate) const fn new(reference: ReferencePorts) -> Self {
        Self { reference }
    }
}

#[async_trait]
impl TaskHandler<ExpireInvitation> for ExpireInvitationHandler {
    async fn handle(&self, task: ExpireInvitation, ctx: &TaskContext) -> TaskResult {
        Ok(expire_invitation(&self.reference, ctx.cause(), &task).await?.into())
    }
}
