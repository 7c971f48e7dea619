//! Digests: what happened in a week of a project.

mod events;
mod tasks;
pub mod use_cases;
mod weekly_digest;
mod weekly_digest_repository;

pub use events::DigestGenerated;
pub use tasks::{RunDigest, TriggerWeeklyDigests};
pub use weekly_digest::WeeklyDigest;
pub use weekly_digest_repository::WeeklyDigestRepository;
