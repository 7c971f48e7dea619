//! Requests that carried an `Idempotency-Key`, in memory.

use aftercommit_domain::reference::RequestId;
use aftercommit_domain::reference::requests::{IdempotentRequest, KeptAnswer, RequestClaim, RequestRepository};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;

use super::tables::{RequestRow, Rows};

#[async_trait]
impl RequestRepository for Rows<'_> {
    async fn claim(
        &mut self,
        id: RequestId,
        request: &IdempotentRequest,
        now: Timestamp,
        forget_before: Timestamp,
    ) -> Result<RequestClaim, StoreError> {
        let key = (
            request.organization_id.clone(),
            request.route.clone(),
            request.key.clone(),
        );
        if let Some(row) = self.tables.requests.get(&key)
            && row.claimed_at >= forget_before
        {
            let answer = row.answer.clone().ok_or_else(|| StoreError::Corrupt {
                what: "request",
                reason: "it was committed without its answer".into(),
            })?;
            return Ok(RequestClaim::Seen {
                id: row.id,
                fingerprint: row.fingerprint,
                answer,
            });
        }
        let row = RequestRow {
            id,
            fingerprint: request.fingerprint,
            answer: None,
            claimed_at: now,
        };
        self.tables.requests.insert(key, row);
        Ok(RequestClaim::First)
    }

    async fn keep_answer(&mut self, id: RequestId, answer: &KeptAnswer) -> Result<(), StoreError> {
        match self.tables.requests.values_mut().find(|row| row.id == id) {
            Some(row) => {
                row.answer = Some(answer.clone());
                Ok(())
            }
            None => Err(StoreError::Refused {
                operation: "requests.keep_answer",
                reason: "the request was not claimed".into(),
            }),
        }
    }

    async fn forget(&mut self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut left = u64::from(limit);
        self.tables.requests.retain(|_, row| {
            let forgotten = left > 0 && row.claimed_at < before;
            left -= u64::from(forgotten);
            !forgotten
        });
        Ok(u64::from(limit) - left)
    }
}
