//! Decides whether a magic link is still to be sent, and in which variant.

use crate::contract::{Cause, Contract};
use crate::reference::identity::SendMagicLinkEmail;
use crate::reference::{Progress, ReferencePorts, UseCaseError};

/// What the e-mail says the link does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MagicLinkVariant {
    /// Signs in someone who is known.
    SignIn,
    /// Makes someone who is not.
    SignUp,
}

/// The variant to send, while the link works.
///
/// # Errors
/// The store.
pub async fn load_magic_link_email(
    ports: &ReferencePorts,
    cause: &Cause,
    task: &SendMagicLinkEmail,
) -> Result<Progress<MagicLinkVariant>, UseCaseError> {
    if task.expires_at <= ports.now() {
        return Ok(Progress::NotWanted("the magic link has expired"));
    }
    let mut uow = ports.units.begin(&task.tenant(), cause).await?;
    let Some(link) = uow.sign_in_links().find(task.sign_in_link_id).await? else {
        return Ok(Progress::NotWanted("the magic link is gone"));
    };
    if link.used_at.is_some() {
        return Ok(Progress::NotWanted("the magic link was followed already"));
    }
    Ok(Progress::Done(match link.user_id {
        Some(_) => MagicLinkVariant::SignIn,
        None => MagicLinkVariant::SignUp,
    }))
}
