//! What can be done with people and keys.

mod anonymise_user;
mod authenticate;
mod close_organization;
mod create_api_key;
mod follow_magic_link;
mod leave_organization;
mod load_magic_link_email;
mod request_magic_link;
mod request_user_deletion;
mod revoke_api_key;

pub use anonymise_user::anonymise_user;
pub use authenticate::authenticate;
pub use close_organization::close_organization;
pub use create_api_key::{ApiKeyCreation, CreateApiKey, create_api_key};
pub use follow_magic_link::{SignIn, SignUp, follow_magic_link};
pub use leave_organization::{Leaving, leave_organization, memberships_of_user, restore_membership};
pub use load_magic_link_email::{MagicLinkVariant, load_magic_link_email};
pub use request_magic_link::{MagicLinkRequested, RequestMagicLink, request_magic_link};
pub use request_user_deletion::{keep_user, request_user_deletion};
pub use revoke_api_key::revoke_api_key;
