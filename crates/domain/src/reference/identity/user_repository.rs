//! Where people are kept.

use async_trait::async_trait;

use crate::effects::EmailAddress;
use crate::reference::UserId;
use crate::reference::identity::User;
use crate::unit_of_work::StoreError;

/// Keeps people. Addresses are unique without regard to case, and never stored in clear.
#[async_trait]
pub trait UserRepository: Send {
    /// Adds `user` unless their address is known. Answers the id of whoever has the address now, and whether this call
    /// added them.
    async fn ensure(&mut self, user: &User) -> Result<(UserId, bool), StoreError>;

    /// Who has this address. `Ok(None)` when nobody does.
    async fn find_by_email(&mut self, email: &EmailAddress) -> Result<Option<UserId>, StoreError>;

    /// A person. `Ok(None)` when there is none.
    async fn find(&mut self, id: UserId) -> Result<Option<User>, StoreError>;

    /// Puts another address in place of a person's, in the system's unit of work. `Ok(false)` when there is no such person.
    async fn replace_email(&mut self, id: UserId, email: &EmailAddress) -> Result<bool, StoreError>;
}
