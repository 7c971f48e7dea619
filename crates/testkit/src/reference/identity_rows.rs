//! People, memberships, API keys and sign-in links in memory.

use aftercommit_domain::contract::OrganizationId;
use aftercommit_domain::effects::EmailAddress;
use aftercommit_domain::reference::identity::{
    ApiKey, ApiKeyRepository, Membership, MembershipRepository, SignInLink, SignInLinkRepository, User, UserRepository,
};
use aftercommit_domain::reference::{ApiKeyId, SignInLinkId, UserId};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;

use super::tables::Rows;

#[async_trait]
impl UserRepository for Rows<'_> {
    async fn ensure(&mut self, user: &User) -> Result<(UserId, bool), StoreError> {
        if let Some(known) = self.find_by_email(&user.email).await? {
            return Ok((known, false));
        }
        self.tables.users.insert(user.id, user.clone());
        Ok((user.id, true))
    }

    async fn find_by_email(&mut self, email: &EmailAddress) -> Result<Option<UserId>, StoreError> {
        let digest = User::email_digest(email);
        let mut users = self.tables.users.values();
        Ok(users
            .find(|user| User::email_digest(&user.email) == digest)
            .map(|user| user.id))
    }

    async fn find(&mut self, id: UserId) -> Result<Option<User>, StoreError> {
        Ok(self.tables.users.get(&id).cloned())
    }

    async fn replace_email(&mut self, id: UserId, email: &EmailAddress) -> Result<bool, StoreError> {
        let user = self.tables.users.get_mut(&id);
        Ok(user.map(|user| user.email = email.clone()).is_some())
    }
}

#[async_trait]
impl MembershipRepository for Rows<'_> {
    async fn ensure(&mut self, membership: &Membership) -> Result<bool, StoreError> {
        let key = (membership.organization_id.clone(), membership.user_id);
        if self.tables.memberships.contains_key(&key) {
            return Ok(false);
        }
        self.tables.memberships.insert(key, membership.clone());
        Ok(true)
    }

    async fn list(&mut self, after: Option<UserId>, limit: u32) -> Result<Vec<UserId>, StoreError> {
        let members = self.tables.memberships.keys();
        let own = members.filter(|(organization, user_id)| self.sees(organization) && Some(*user_id) > after);
        Ok(own.map(|(_, user_id)| *user_id).take(limit as usize).collect())
    }

    async fn find(&mut self, user_id: UserId) -> Result<Option<Membership>, StoreError> {
        let key = self.key(user_id);
        Ok(key.and_then(|key| self.tables.memberships.get(&key)).cloned())
    }

    async fn of_user(
        &mut self,
        user_id: UserId,
        after: Option<OrganizationId>,
        limit: u32,
    ) -> Result<Vec<Membership>, StoreError> {
        let memberships = self.tables.memberships.values();
        let own = memberships.filter(|membership| {
            membership.user_id == user_id
                && self.lists(&membership.organization_id)
                && Some(&membership.organization_id) > after.as_ref()
        });
        Ok(own.take(limit as usize).cloned().collect())
    }

    async fn remove(&mut self, user_id: UserId) -> Result<bool, StoreError> {
        let key = self.key(user_id);
        Ok(key.and_then(|key| self.tables.memberships.remove(&key)).is_some())
    }
}

#[async_trait]
impl ApiKeyRepository for Rows<'_> {
    async fn insert(&mut self, key: &ApiKey) -> Result<(), StoreError> {
        match self.tables.api_keys.insert(key.id, key.clone()) {
            None => Ok(()),
            Some(_) => Err(StoreError::Duplicate { what: "API key" }),
        }
    }

    async fn find(&mut self, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        let key = self.tables.api_keys.get(&id);
        Ok(key.filter(|key| self.sees(&key.organization_id)).cloned())
    }

    async fn count_working(&mut self) -> Result<u64, StoreError> {
        let keys = self.tables.api_keys.values();
        let working = keys.filter(|key| key.revoked_at.is_none() && self.sees(&key.organization_id));
        Ok(working.count() as u64)
    }

    async fn list_working(&mut self, limit: u32) -> Result<Vec<ApiKey>, StoreError> {
        let keys = self.tables.api_keys.values();
        let working = keys.filter(|key| key.revoked_at.is_none() && self.sees(&key.organization_id));
        Ok(working.take(limit as usize).cloned().collect())
    }

    async fn revoke(&mut self, id: ApiKeyId, at: Timestamp) -> Result<bool, StoreError> {
        let organization = self.organization.clone();
        let key = self.tables.api_keys.get_mut(&id);
        let working = key.filter(|key| key.revoked_at.is_none() && organization.as_ref() == Some(&key.organization_id));
        Ok(working.map(|key| key.revoked_at = Some(at)).is_some())
    }
}

#[async_trait]
impl SignInLinkRepository for Rows<'_> {
    async fn insert(&mut self, link: &SignInLink) -> Result<(), StoreError> {
        match self.tables.sign_in_links.insert(link.id, link.clone()) {
            None => Ok(()),
            Some(_) => Err(StoreError::Duplicate { what: "sign-in link" }),
        }
    }

    async fn find(&mut self, id: SignInLinkId) -> Result<Option<SignInLink>, StoreError> {
        Ok(self.tables.sign_in_links.get(&id).cloned())
    }

    async fn use_up(&mut self, id: SignInLinkId, at: Timestamp) -> Result<bool, StoreError> {
        let link = self.tables.sign_in_links.get_mut(&id);
        let unused = link.filter(|link| link.used_at.is_none());
        Ok(unused.map(|link| link.used_at = Some(at)).is_some())
    }

    async fn forget(&mut self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut left = u64::from(limit);
        self.tables.sign_in_links.retain(|_, link| {
            let forgotten = left > 0 && link.expires_at < before;
            left -= u64::from(forgotten);
            !forgotten
        });
        Ok(u64::from(limit) - left)
    }
}
