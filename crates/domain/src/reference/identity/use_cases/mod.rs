//! What can be done with people and keys.

mod authenticate;
mod create_api_key;
mod follow_magic_link;
mod load_magic_link_email;
mod request_magic_link;
mod revoke_api_key;

pub use authenticate::authenticate;
pub use create_api_key::{ApiKeyCreation, CreateApiKey, create_api_key};
pub use follow_magic_link::{SignIn, SignUp, follow_magic_link};
pub use load_magic_link_email::{MagicLinkVariant, load_magic_link_email};
pub use request_magic_link::{MagicLinkRequested, RequestMagicLink, request_magic_link};
pub use revoke_api_key::revoke_api_key;
