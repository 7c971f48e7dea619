//! Requests that carried an `Idempotency-Key`.

use aftercommit_domain::contract::OrganizationId;
use aftercommit_domain::reference::RequestId;
use aftercommit_domain::reference::requests::{IdempotentRequest, KeptAnswer, RequestClaim, RequestRepository};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;
use uuid::Uuid;

use super::rows::{Rows, bounded, corrupt, digest};
use crate::columns::micros;

#[async_trait]
impl RequestRepository for Rows<'_> {
    async fn claim(
        &mut self,
        id: RequestId,
        request: &IdempotentRequest,
        now: Timestamp,
        forget_before: Timestamp,
    ) -> Result<RequestClaim, StoreError> {
        const OPERATION: &str = "requests.claim";
        const WHAT: &str = "request";
        let organization = request.organization_id.as_ref().map_or("", OrganizationId::as_str);
        let upsert = sqlx::query(
            "INSERT INTO reference_requests (organization_id, route, key, id, fingerprint, claimed_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (organization_id, route, key) DO UPDATE \
             SET id = excluded.id, fingerprint = excluded.fingerprint, claimed_at = excluded.claimed_at, \
             answer_key = NULL, answer = NULL WHERE claimed_at < ?7",
        )
        .bind(organization)
        .bind(&request.route)
        .bind(&request.key)
        .bind(id.uuid())
        .bind(request.fingerprint.as_bytes().to_vec())
        .bind(micros(now))
        .bind(micros(forget_before));
        if self.run(OPERATION, upsert).await? == 1 {
            return Ok(RequestClaim::First);
        }
        let select = sqlx::query_as::<_, (Uuid, Vec<u8>, Option<String>, Option<Vec<u8>>)>(
            "SELECT id, fingerprint, answer_key, answer FROM reference_requests \
             WHERE organization_id = ? AND route = ? AND key = ?",
        )
        .bind(organization)
        .bind(&request.route)
        .bind(&request.key);
        let (id, fingerprint, key_id, bytes) = bounded(OPERATION, select.fetch_one(&mut *self.connection)).await?;
        let (key_id, bytes) = key_id
            .zip(bytes)
            .ok_or_else(|| corrupt(WHAT, "it was committed without its answer"))?;
        Ok(RequestClaim::Seen {
            id: RequestId::from(id),
            fingerprint: digest(&fingerprint, WHAT)?,
            answer: KeptAnswer { key_id, bytes },
        })
    }

    async fn keep_answer(&mut self, id: RequestId, answer: &KeptAnswer) -> Result<(), StoreError> {
        const OPERATION: &str = "requests.keep_answer";
        let update = sqlx::query("UPDATE reference_requests SET answer_key = ?, answer = ? WHERE id = ?")
            .bind(&answer.key_id)
            .bind(&answer.bytes)
            .bind(id.uuid());
        if self.run(OPERATION, update).await? == 1 {
            return Ok(());
        }
        Err(StoreError::Refused {
            operation: OPERATION,
            reason: "the request was not claimed".into(),
        })
    }

    async fn forget(&mut self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let delete = sqlx::query(
            "DELETE FROM reference_requests WHERE id IN \
             (SELECT id FROM reference_requests WHERE claimed_at < ? ORDER BY claimed_at LIMIT ?)",
        )
        .bind(micros(before))
        .bind(limit);
        self.run("requests.forget", delete).await
    }
}
