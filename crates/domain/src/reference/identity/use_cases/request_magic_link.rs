//! Asks for a magic link.

use serde::{Deserialize, Serialize};

use crate::contract::{Sealed, Tenant};
use crate::events::OutboxWriterExt;
use crate::reference::identity::{MagicLinkEmailRequested, SignInLink};
use crate::reference::input::{Checked, email};
use crate::reference::requests::{Answers, Claim};
use crate::reference::{ReferencePorts, RequestContext, Secret, SignInLinkId, UseCaseError};
use crate::time;

/// How many links that expired long ago each new one forgets: more than one, so that they never pile up.
const FORGET_AT_ONCE: u32 = 4;

/// What is asked for.
#[derive(Clone)]
pub struct RequestMagicLink {
    /// Whom to send it to.
    pub email: String,
}

/// That it was asked for. Says nothing else, because the answer must not tell who is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MagicLinkRequested {}

/// Sends a magic link afterwards. A known address and an unknown one take the same steps and get the same answer; the
/// unknown one gets the sign-up variant, which makes the person only when followed.
///
/// # Errors
/// Invalid input naming the field; a used `Idempotency-Key`; the store.
pub async fn request_magic_link(
    ports: &ReferencePorts,
    request: &RequestContext,
    input: RequestMagicLink,
) -> Result<MagicLinkRequested, UseCaseError> {
    let mut checked = Checked::default();
    let Some(email) = checked.field("email", email(&input.email)) else {
        return Err(checked.into_invalid().into());
    };
    let mut uow = ports.units.begin(&Tenant::System, &request.cause).await?;
    let answers = match Answers::claim(ports, &mut *uow, request).await? {
        Claim::First(answers) => answers,
        Claim::Repeated(answer) => return Ok(answer),
    };

    let now = ports.now();
    let token = Secret::token(&*ports.randomness);
    let link = SignInLink {
        id: SignInLinkId::new(&*ports.ids),
        user_id: uow.users().find_by_email(&email).await?,
        email,
        token: token.digest(),
        created_at: now,
        expires_at: time::after(now, ports.settings.sign_in_link_ttl),
        used_at: None,
    };
    uow.sign_in_links()
        .forget(time::before(now, time::days(1)), FORGET_AT_ONCE)
        .await?;
    uow.sign_in_links().insert(&link).await?;
    uow.outbox()
        .write(MagicLinkEmailRequested {
            sign_in_link_id: link.id,
            email: Sealed::new(link.email),
            magic_link_url: Sealed::new(ports.settings.sign_in_url(&token)),
            expires_at: link.expires_at,
        })
        .await?;

    let answer = MagicLinkRequested {};
    answers.keep(&mut *uow, &answer).await?;
    uow.commit().await?;
    Ok(answer)
}
