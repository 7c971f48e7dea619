//! Invitations in memory.

use aftercommit_domain::ids::MessageId;
use aftercommit_domain::reference::invitations::{EmailClaim, Invitation, InvitationRepository};
use aftercommit_domain::reference::{Digest, InvitationId, UserId};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;

use super::tables::{InvitationRow, Rows};

impl Rows<'_> {
    fn invitation(&mut self, id: InvitationId) -> Option<&mut InvitationRow> {
        let key = self.key(id)?;
        self.tables.invitations.get_mut(&key)
    }

    /// The invitation if none of accept, revoke and expire has happened to it.
    fn undecided(&mut self, id: InvitationId) -> Option<&mut Invitation> {
        self.invitation(id)
            .map(|row| &mut row.invitation)
            .filter(|one| one.accepted.is_none() && one.revoked_at.is_none() && one.expired_at.is_none())
    }
}

#[async_trait]
impl InvitationRepository for Rows<'_> {
    async fn insert(&mut self, invitation: &Invitation) -> Result<(), StoreError> {
        let key = (invitation.organization_id.clone(), invitation.id);
        let row = InvitationRow {
            invitation: invitation.clone(),
            claim: None,
            tokens: Vec::new(),
        };
        match self.tables.invitations.insert(key, row) {
            None => Ok(()),
            Some(_) => Err(StoreError::Duplicate { what: "invitation" }),
        }
    }

    async fn find(&mut self, id: InvitationId) -> Result<Option<Invitation>, StoreError> {
        Ok(self.invitation(id).map(|row| row.invitation.clone()))
    }

    async fn accept(&mut self, id: InvitationId, user_id: UserId, at: Timestamp) -> Result<bool, StoreError> {
        let invitation = self.undecided(id);
        Ok(invitation.map(|one| one.accepted = Some((user_id, at))).is_some())
    }

    async fn revoke(&mut self, id: InvitationId, at: Timestamp) -> Result<bool, StoreError> {
        Ok(self.undecided(id).map(|one| one.revoked_at = Some(at)).is_some())
    }

    async fn prolong(&mut self, id: InvitationId, expires_at: Timestamp) -> Result<bool, StoreError> {
        Ok(self.undecided(id).map(|one| one.expires_at = expires_at).is_some())
    }

    async fn expire(&mut self, id: InvitationId, at: Timestamp) -> Result<bool, StoreError> {
        Ok(self.undecided(id).map(|one| one.expired_at = Some(at)).is_some())
    }

    async fn claim_email(
        &mut self,
        id: InvitationId,
        task: MessageId,
        at: Timestamp,
        stale_before: Timestamp,
    ) -> Result<EmailClaim, StoreError> {
        let Some(row) = self.invitation(id) else {
            return Err(absent("invitations.claim_email"));
        };
        if row.invitation.emailed_at.is_some() {
            return Ok(EmailClaim::AlreadySent);
        }
        match row.claim {
            Some((by, since)) if by != task && since >= stale_before => Ok(EmailClaim::HeldByAnother),
            Some(_) | None => {
                row.claim = Some((task, at));
                Ok(EmailClaim::Claimed)
            }
        }
    }

    async fn record_emailed(&mut self, id: InvitationId, at: Timestamp) -> Result<bool, StoreError> {
        let row = self.invitation(id).filter(|row| row.invitation.emailed_at.is_none());
        Ok(row.map(|row| row.invitation.emailed_at = Some(at)).is_some())
    }

    async fn add_token(
        &mut self,
        id: InvitationId,
        token: &Digest,
        _at: Timestamp,
        keep: u32,
    ) -> Result<(), StoreError> {
        let row = self.invitation(id).ok_or_else(|| absent("invitations.add_token"))?;
        row.tokens.push(*token);
        let surplus = row.tokens.len().saturating_sub(keep as usize);
        row.tokens.drain(..surplus);
        Ok(())
    }

    async fn has_token(&mut self, id: InvitationId, token: &Digest) -> Result<bool, StoreError> {
        Ok(self.invitation(id).is_some_and(|row| row.tokens.contains(token)))
    }
}

/// Under another tenant it would look the same.
fn absent(operation: &'static str) -> StoreError {
    StoreError::Refused {
        operation,
        reason: "there is no such invitation in this organization".into(),
    }
}
