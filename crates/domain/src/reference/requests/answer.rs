//! Keeps and repeats the answer of a request within the unit of work that does what it asks for.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::contract::{SealContext, SealError, SealedBytes, Tenant};
use crate::ids::MessageId;
use crate::reference::requests::{IdempotentRequest, KeptAnswer, RequestClaim};
use crate::reference::{ReferencePorts, ReferenceUnitOfWork, Refusal, RequestContext, RequestId, UseCaseError};
use crate::time;

/// How many old requests each new one forgets: more than one, so that they never pile up.
const FORGET_AT_ONCE: u32 = 4;

/// The answer of one request, kept when the client gave it a key.
pub(in crate::reference) struct Answers<'a> {
    ports: &'a ReferencePorts,
    claimed: Option<(RequestId, &'a IdempotentRequest)>,
}

impl<'a> Answers<'a> {
    /// Claims the request's key. `Err` holds the earlier answer to be repeated, or why there is none.
    pub(in crate::reference) async fn claim<A: DeserializeOwned>(
        ports: &'a ReferencePorts,
        uow: &mut dyn ReferenceUnitOfWork,
        request: &'a RequestContext,
    ) -> Result<Claim<'a, A>, UseCaseError> {
        let Some(request) = &request.idempotent else {
            return Ok(Claim::First(Self { ports, claimed: None }));
        };
        let now = ports.now();
        let id = RequestId::new(&*ports.ids);
        let forget_before = time::before(now, ports.settings.idempotency_ttl);
        let mut requests = uow.requests();
        requests.forget(forget_before, FORGET_AT_ONCE).await?;
        match requests.claim(id, request, now, forget_before).await? {
            RequestClaim::First => Ok(Claim::First(Self {
                ports,
                claimed: Some((id, request)),
            })),
            RequestClaim::Seen { fingerprint, .. } if fingerprint != request.fingerprint => {
                Err(Refusal::KeyReused.into())
            }
            RequestClaim::Seen { id, answer, .. } => open(ports, id, request, answer).map(Claim::Repeated),
        }
    }

    /// Keeps `answer` with the change.
    pub(in crate::reference) async fn keep<A: Serialize + Sync>(
        &self,
        uow: &mut dyn ReferenceUnitOfWork,
        answer: &A,
    ) -> Result<(), UseCaseError> {
        let Some((id, request)) = self.claimed else {
            return Ok(());
        };
        let clear = serde_json::to_vec(answer).map_err(|_| SealError::Malformed)?;
        let sealed = self.ports.sealer.seal(&clear, &context(id, request))?;
        let kept = KeptAnswer {
            key_id: sealed.key_id,
            bytes: sealed.bytes,
        };
        uow.requests().keep_answer(id, &kept).await?;
        Ok(())
    }
}

/// What claiming a request's key came to.
pub(in crate::reference) enum Claim<'a, A> {
    /// Do it, then keep the answer.
    First(Answers<'a>),
    /// It was done; this was the answer.
    Repeated(A),
}

fn open<A: DeserializeOwned>(
    ports: &ReferencePorts,
    id: RequestId,
    request: &IdempotentRequest,
    answer: KeptAnswer,
) -> Result<A, UseCaseError> {
    let sealed = SealedBytes {
        key_id: answer.key_id,
        bytes: answer.bytes,
    };
    let clear = ports.sealer.open(&sealed, &context(id, request))?;
    Ok(serde_json::from_slice(&clear).map_err(|_| SealError::Malformed)?)
}

fn context(id: RequestId, request: &IdempotentRequest) -> SealContext {
    SealContext {
        tenant: Tenant::from_parts(request.organization_id.clone(), None).unwrap_or(Tenant::System),
        contract: format!("answer of {}", request.route),
        message_id: MessageId::from(id.uuid()),
    }
}
