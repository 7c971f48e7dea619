//! What a handler does to the outside: effect ports, each with an idempotency key.

mod download_secret;
mod downloads;
mod email_sender;
mod idempotency;
mod object_key;
mod object_storage;
mod public_address;
mod retry_after;
mod webhook_error;
mod webhook_secret;
mod webhook_sender;
mod webhook_url;

pub use download_secret::{DownloadSecret, InvalidDownloadSecret, RefusedDownload};
pub use downloads::{DownloadError, Downloads};
pub use email_sender::{Email, EmailAddress, EmailError, EmailSender, InvalidEmailAddress};
pub use idempotency::IdempotencyKey;
pub use object_key::{InvalidObjectKey, ObjectKey};
pub use object_storage::{
    DownloadLink, LONGEST_DOWNLOAD_LINK, MAX_PART_BYTES, MAX_PARTS, ObjectContent, ObjectStorage, ObjectStorageError,
    PartNumber, StoredObject,
};
pub use public_address::{NotPublic, check_public};
pub use retry_after::{LONGEST_RETRY_AFTER, retry_after};
pub use webhook_error::WebhookError;
pub use webhook_secret::{InvalidWebhookSecret, WebhookSecret};
pub use webhook_sender::{WebhookAnswer, WebhookRequest, WebhookSender};
pub use webhook_url::{ForbiddenUrl, MAX_WEBHOOK_URL, WebhookNetwork, WebhookUrl};
