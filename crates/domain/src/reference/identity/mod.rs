//! Who someone is: people, their memberships, their sign-in links, and the keys of programs.

mod api_key;
mod api_key_repository;
mod events;
mod membership;
mod membership_repository;
mod sign_in_link;
mod sign_in_link_repository;
mod tasks;
pub mod use_cases;
mod user;
mod user_repository;

pub use api_key::ApiKey;
pub use api_key_repository::ApiKeyRepository;
pub use events::{
    ApiKeyCreated, ApiKeyRevoked, MagicLinkEmailRequested, MemberJoined, MemberLeft, MemberRestored, UserDeleted,
    UserDeletionRequested, UserSignedUp,
};
pub use membership::{Membership, Role};
pub use membership_repository::MembershipRepository;
pub use sign_in_link::SignInLink;
pub use sign_in_link_repository::SignInLinkRepository;
pub use tasks::SendMagicLinkEmail;
pub use user::User;
pub use user_repository::UserRepository;
