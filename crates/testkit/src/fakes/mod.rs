//! Stateful fakes of the ports that no store implements.

mod email_sender;
mod manual_clock;
mod object_storage;
mod sealer;
mod seeded_ids;
mod seeded_randomness;
mod services;
mod webhook_sender;

pub use email_sender::{RecordingEmailSender, SendStep, SentEmail};
pub use manual_clock::ManualClock;
pub use object_storage::{InMemoryObjectStorage, StorageStep};
pub use sealer::TestSealer;
pub use seeded_ids::SeededIds;
pub use seeded_randomness::SeededRandomness;
pub use services::{TestServices, test_services};
pub use webhook_sender::{RecordingWebhookSender, SentWebhook, WebhookStep};
