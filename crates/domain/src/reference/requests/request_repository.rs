//! Where requests and their answers are kept.

use async_trait::async_trait;

use crate::reference::requests::{IdempotentRequest, KeptAnswer};
use crate::reference::{Digest, RequestId};
use crate::time::Timestamp;
use crate::unit_of_work::StoreError;

/// Keeps requests that carried an `Idempotency-Key`.
#[async_trait]
pub trait RequestRepository: Send {
    /// Claims the key for `request`, waiting for another unit of work that claims it too. Rows older than
    /// `forget_before` count as absent.
    async fn claim(
        &mut self,
        id: RequestId,
        request: &IdempotentRequest,
        now: Timestamp,
        forget_before: Timestamp,
    ) -> Result<RequestClaim, StoreError>;

    /// Keeps the answer of a claimed request.
    async fn keep_answer(&mut self, id: RequestId, answer: &KeptAnswer) -> Result<(), StoreError>;

    /// Forgets up to `limit` requests older than `before`. Answers how many.
    async fn forget(&mut self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

/// What claiming a key found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestClaim {
    /// Nobody used it.
    First,
    /// It was used.
    Seen {
        /// The id of that request.
        id: RequestId,
        /// What was asked then.
        fingerprint: Digest,
        /// What was answered then.
        answer: KeptAnswer,
    },
}
