//! Requests that carried an `Idempotency-Key`.

use aftercommit_domain::contract::OrganizationId;
use aftercommit_domain::reference::RequestId;
use aftercommit_domain::reference::requests::{IdempotentRequest, KeptAnswer, RequestClaim, RequestRepository};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;
use uuid::Uuid;

use super::rows::{Rows, corrupt, digest};

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
            "INSERT INTO reference.requests AS known (organization_id, route, key, id, fingerprint, claimed_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (organization_id, route, key) DO UPDATE \
             SET id = excluded.id, fingerprint = excluded.fingerprint, claimed_at = excluded.claimed_at, \
             answer_key = NULL, answer = NULL WHERE known.claimed_at < $7",
        )
        .bind(organization)
        .bind(&request.route)
        .bind(&request.key)
        .bind(id.uuid())
        .bind(request.fingerprint.as_bytes().to_vec())
        .bind(now)
        .bind(forget_before);
        if self.run(OPERATION, upsert).await? == 1 {
            return Ok(RequestClaim::First);
        }
        let select = sqlx::query_as::<_, (Uuid, Vec<u8>, Option<String>, Option<Vec<u8>>)>(
            "SELECT id, fingerprint, answer_key, answer FROM reference.requests \
             WHERE organization_id = $1 AND route = $2 AND key = $3",
        )
        .bind(organization)
        .bind(&request.route)
        .bind(&request.key);
        let seen = self.optional(OPERATION, select).await?;
        let (id, fingerprint, key_id, bytes) = seen.ok_or_else(|| StoreError::Conflict {
            operation: OPERATION,
            reason: "the request was forgotten at this very moment".into(),
        })?;
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
        let update = sqlx::query("UPDATE reference.requests SET answer_key = $1, answer = $2 WHERE id = $3")
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
        // Whoever forgets at the same moment takes others. Row-level security leaves those of other organizations to
        // them and to the system.
        let delete = sqlx::query(
            "DELETE FROM reference.requests WHERE id = ANY (ARRAY( \
                SELECT id FROM reference.requests WHERE claimed_at < $1 ORDER BY claimed_at LIMIT $2 \
                FOR UPDATE SKIP LOCKED \
             ))",
        )
        .bind(before)
        .bind(i64::from(limit));
        self.run("requests.forget", delete).await
    }
}
