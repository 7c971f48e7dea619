//! What clients of the API may rely on, over the product in memory.

#![expect(clippy::unwrap_used, reason = "tests")]

mod client;

mod authentication;
mod exports;
mod idempotency;
mod invitations;
mod magic_links;
mod notification_preferences;
mod problems;
mod projects;
mod records;
mod requests;
mod usage;
mod users;
mod webhooks;
mod workflow_requests;
