//! Where memberships are kept.

use async_trait::async_trait;

use crate::contract::OrganizationId;
use crate::reference::UserId;
use crate::reference::identity::Membership;
use crate::unit_of_work::StoreError;

/// Keeps the memberships of the unit of work's organization.
#[async_trait]
pub trait MembershipRepository: Send {
    /// Adds a membership unless the person is a member. Answers whether this call added it.
    async fn ensure(&mut self, membership: &Membership) -> Result<bool, StoreError>;

    /// The members whose ids are greater than `after`, in the order of their ids, `limit` at most.
    async fn list(&mut self, after: Option<UserId>, limit: u32) -> Result<Vec<UserId>, StoreError>;

    /// A person's membership. `Ok(None)` when they are no member.
    async fn find(&mut self, user_id: UserId) -> Result<Option<Membership>, StoreError>;

    /// A person's memberships of organizations whose ids come after `after`, in an order that is the store's own and does not
    /// change, `limit` at most. The system's unit of work lists those of all organizations.
    async fn of_user(
        &mut self,
        user_id: UserId,
        after: Option<OrganizationId>,
        limit: u32,
    ) -> Result<Vec<Membership>, StoreError>;

    /// Removes a person's membership. `Ok(false)` when they are no member.
    async fn remove(&mut self, user_id: UserId) -> Result<bool, StoreError>;
}
