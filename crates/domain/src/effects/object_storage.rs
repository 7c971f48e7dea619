//! Keeping files that are too large for a database.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use url::Url;

use crate::effects::ObjectKey;
use crate::failure::{Classified, ErrorClass};
use crate::time::{Timestamp, days};

/// The most bytes of one part: what one step of an upload holds in memory.
pub const MAX_PART_BYTES: usize = 8 * 1024 * 1024;
/// The most parts of one object.
pub const MAX_PARTS: u32 = 10_000;
/// The longest a download link is valid.
pub const LONGEST_DOWNLOAD_LINK: Duration = days(7);

/// Keeps objects: files of any content, each under the key of its tenant.
///
/// An object is put in parts, and a part is kept from the moment its put answered. Whoever is killed between two parts
/// goes on after the last one it knows of; a part put again replaces itself, and a completion that is repeated finds
/// what it made. So a step of a workflow can be tried again at any point, with nothing but the key to remember.
///
/// **Contract**: nobody sees an object before it is complete, and then all of it. `Ok` means that it survives the loss of
/// the process. A key names one content: to put another under it, abort and delete first. Has deadlines of its own;
/// called concurrently; a call that is dropped may or may not have happened.
#[async_trait]
pub trait ObjectStorage: Send + Sync {
    /// Keeps part `number` of the object that is being put, in place of what was kept under that number. Parts come in
    /// any order.
    ///
    /// # Errors
    /// [`ObjectStorageError::PartTooLarge`] over [`MAX_PART_BYTES`]; nothing was kept then.
    async fn put_part(&self, key: &ObjectKey, number: PartNumber, content: Vec<u8>) -> Result<(), ObjectStorageError>;

    /// How many parts are kept without a gap from the first: where an upload goes on that knows nothing else.
    async fn parts(&self, key: &ObjectKey) -> Result<u32, ObjectStorageError>;

    /// Makes the object out of its first `parts` parts in the order of their numbers: [`complete_of`](Self::complete_of)
    /// them.
    ///
    /// # Errors
    /// Those of [`complete_of`](Self::complete_of).
    async fn complete(&self, key: &ObjectKey, parts: u32) -> Result<u64, ObjectStorageError> {
        let numbers: Vec<PartNumber> = (1..=parts).map(PartNumber::new).collect::<Result<_, _>>()?;
        self.complete_of(key, &numbers).await
    }

    /// Makes the object out of exactly these parts in this order, forgets all its parts, others as well, and answers its
    /// size in bytes. When the object is there already and a part is not, it was completed before: that is `Ok` too. No
    /// parts make an empty object.
    ///
    /// # Errors
    /// [`ObjectStorageError::PartMissing`] when a part is missing and there is no object; the parts stay.
    async fn complete_of(&self, key: &ObjectKey, parts: &[PartNumber]) -> Result<u64, ObjectStorageError>;

    /// Forgets the parts of an object that is not to be completed. `Ok` when there are none; the object itself, if there
    /// is one, stays.
    async fn abort(&self, key: &ObjectKey) -> Result<(), ObjectStorageError>;

    /// Opens the object. `None` when there is none.
    async fn get(&self, key: &ObjectKey) -> Result<Option<StoredObject>, ObjectStorageError>;

    /// Removes the object. `Ok` when there is none; parts stay.
    async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectStorageError>;

    /// A link with which anybody can download the object for a time, at most [`LONGEST_DOWNLOAD_LINK`]. Does not look
    /// whether the object is there. Calls nobody where the storage's keys are at hand.
    async fn download_link(&self, key: &ObjectKey, valid_for: Duration) -> Result<DownloadLink, ObjectStorageError>;
}

/// The number of a part: 1 to [`MAX_PARTS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartNumber(u32);

impl PartNumber {
    /// The first part.
    pub const FIRST: Self = Self(1);

    /// Takes a number.
    ///
    /// # Errors
    /// [`ObjectStorageError::NoSuchPart`] unless it is 1 to [`MAX_PARTS`].
    pub const fn new(number: u32) -> Result<Self, ObjectStorageError> {
        if number == 0 || number > MAX_PARTS {
            return Err(ObjectStorageError::NoSuchPart { number });
        }
        Ok(Self(number))
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// An object that is being read.
pub struct StoredObject {
    /// Its size in bytes.
    pub bytes: u64,
    /// What is in it.
    pub content: Box<dyn ObjectContent>,
}

impl StoredObject {
    /// All of it at once, up to `limit` bytes.
    ///
    /// # Errors
    /// [`ObjectStorageError::LargerThan`] the limit, and whatever reading meets.
    pub async fn read_all(mut self, limit: usize) -> Result<Vec<u8>, ObjectStorageError> {
        let mut all = Vec::new();
        while let Some(chunk) = self.content.next().await? {
            if all.len() + chunk.len() > limit {
                return Err(ObjectStorageError::LargerThan { limit });
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    }
}

impl fmt::Debug for StoredObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredObject")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// The content of an object, piece by piece.
#[async_trait]
pub trait ObjectContent: Send {
    /// The next piece, never empty and at most [`MAX_PART_BYTES`]; `None` at the end. After an error it is over.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, ObjectStorageError>;
}

/// A link to an object. Whoever has it can download: its `Debug` shows nothing but the end.
#[derive(Clone, PartialEq, Eq)]
pub struct DownloadLink {
    /// Where the object is downloaded.
    pub url: Url,
    /// From when on the link is refused.
    pub expires_at: Timestamp,
}

impl fmt::Debug for DownloadLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DownloadLink")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// The storage did not do what was asked, or it is not known whether it did.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectStorageError {
    /// The storage is away, full, or too slow.
    #[error("the object storage is unavailable: {reason}")]
    Unavailable {
        /// What was seen, without credentials.
        reason: String,
    },
    /// The storage refused it for good, such as for want of a permission.
    #[error("the object storage refused: {reason}")]
    Refused {
        /// What was seen, without credentials.
        reason: String,
    },
    /// The storage does not accept who asks: credentials are wrong, were withdrawn, or have ended. Retryable, because
    /// somebody puts good ones in place, and nothing has happened so far.
    #[error("the object storage does not accept the credentials: {reason}")]
    Unauthenticated {
        /// What was seen, without credentials.
        reason: String,
    },
    /// A part is missing, and there is no object that was completed before.
    #[error("part {number} of the object is missing; put it again, or start over")]
    PartMissing {
        /// The first one that is missing.
        number: u32,
    },
    /// A part is too large.
    #[error("a part of {bytes} bytes is over the limit of {MAX_PART_BYTES}; put it as several")]
    PartTooLarge {
        /// How many bytes it has.
        bytes: usize,
    },
    /// Parts have other numbers.
    #[error("parts are numbered 1 to {MAX_PARTS}, not {number}")]
    NoSuchPart {
        /// The number.
        number: u32,
    },
    /// The object is larger than whoever reads it takes.
    #[error("the object is larger than {limit} bytes")]
    LargerThan {
        /// The limit in bytes.
        limit: usize,
    },
    /// A link cannot be valid that long.
    #[error("a download link is valid for up to seven days")]
    LinkTooLong,
}

impl Classified for ObjectStorageError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Unavailable { .. } | Self::Unauthenticated { .. } => ErrorClass::Retryable,
            Self::Refused { .. }
            | Self::PartMissing { .. }
            | Self::PartTooLarge { .. }
            | Self::NoSuchPart { .. }
            | Self::LargerThan { .. }
            | Self::LinkTooLong => ErrorClass::Permanent,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "storage.unavailable",
            Self::Refused { .. } => "storage.refused",
            Self::Unauthenticated { .. } => "storage.unauthenticated",
            Self::PartMissing { .. } => "storage.part-missing",
            Self::PartTooLarge { .. } => "storage.part-too-large",
            Self::NoSuchPart { .. } => "storage.no-such-part",
            Self::LargerThan { .. } => "storage.larger-than",
            Self::LinkTooLong => "storage.link-too-long",
        }
    }
}
