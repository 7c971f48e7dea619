//! Work on sign-in.

use serde::{Deserialize, Serialize};

use crate::contract::Sealed;
use crate::effects::EmailAddress;
use crate::reference::SignInLinkId;
use crate::reference::identity::MagicLinkEmailRequested;
use crate::tasks::Task;
use crate::time::Timestamp;

/// Send a magic link to whoever asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Task)]
#[task(topic = "magic-link-email", name = "send", version = 1)]
#[exempt(system, "whoever signs in has no tenant yet")]
pub struct SendMagicLinkEmail {
    /// The link's id.
    pub sign_in_link_id: SignInLinkId,
    /// Whom to send it to.
    pub email: Sealed<EmailAddress>,
    /// The link.
    pub magic_link_url: Sealed<String>,
    /// From when on it does not work.
    pub expires_at: Timestamp,
}

impl From<&MagicLinkEmailRequested> for SendMagicLinkEmail {
    fn from(event: &MagicLinkEmailRequested) -> Self {
        Self {
            sign_in_link_id: event.sign_in_link_id,
            email: event.email.clone(),
            magic_link_url: event.magic_link_url.clone(),
            expires_at: event.expires_at,
        }
    }
}
