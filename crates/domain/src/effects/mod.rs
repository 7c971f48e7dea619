//! What a handler does to the outside: effect ports, each with an idempotency key.

mod email_sender;
mod idempotency;

pub use email_sender::{Email, EmailAddress, EmailError, EmailSender, InvalidEmailAddress};
pub use idempotency::IdempotencyKey;
