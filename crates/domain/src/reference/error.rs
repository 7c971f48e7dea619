//! How a use case ends when it does not do what was asked.

use crate::contract::SealError;
use crate::events::WriteError;
use crate::failure::{Classified, ErrorClass};
use crate::reference::InvalidInput;
use crate::tasks::PublishError;
use crate::unit_of_work::{CommitError, StoreError};

/// How a use case ends when it does not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum UseCaseError {
    /// The product's rules say no. Nothing was changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store could not do it. Nothing was changed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The commit did not succeed, or its reply was lost.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// An event could not be written. Nothing was changed.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The change is durable, but what tells of it was not published. Asking again publishes it.
    #[error("stored, but not yet announced: {0}")]
    Publish(#[from] PublishError),
    /// The kept answer of an earlier request could not be sealed or opened. Nothing was changed.
    #[error("the kept answer: {0}")]
    Answer(#[from] SealError),
}

/// The product's rules say no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Input that cannot be taken.
    #[error(transparent)]
    Invalid(#[from] InvalidInput),
    /// There is no such thing, or it is another tenant's.
    #[error("there is no such {what}")]
    NotFound {
        /// What: `project`, `invitation` …
        what: &'static str,
    },
    /// The default project stays as long as its organization.
    #[error("the default project of an organization cannot be deleted")]
    DefaultProject,
    /// An accepted invitation cannot be revoked.
    #[error("the invitation was accepted already")]
    InvitationAccepted,
    /// A revoked invitation cannot be accepted.
    #[error("the invitation was revoked")]
    InvitationRevoked,
    /// An expired invitation cannot be accepted.
    #[error("the invitation has expired")]
    InvitationExpired,
    /// The link is unknown, used up or too old; which of them is nobody's business.
    #[error("the link does not work any more; ask for a new one")]
    LinkNotValid,
    /// Someone is about to lock themselves out.
    #[error("this is the organization's last API key; make another one first")]
    LastApiKey,
    /// Through the key of one organization nobody is taken out of others.
    #[error("this person belongs to other organizations too, and is not deleted for one of them")]
    InOtherOrganizations,
    /// A project has as many webhooks as it may have.
    #[error("the project has 20 webhooks, and no project may have more")]
    TooManyWebhooks,
    /// An `Idempotency-Key` came again with another request.
    #[error("this Idempotency-Key was used for another request")]
    KeyReused,
}

impl Refusal {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "input.invalid",
            Self::NotFound { .. } => "not_found",
            Self::DefaultProject => "project.is_default",
            Self::InvitationAccepted => "invitation.accepted",
            Self::InvitationRevoked => "invitation.revoked",
            Self::InvitationExpired => "invitation.expired",
            Self::LinkNotValid => "sign_in_link.not_valid",
            Self::LastApiKey => "api_key.last",
            Self::InOtherOrganizations => "user.in_other_organizations",
            Self::TooManyWebhooks => "webhook.too_many",
            Self::KeyReused => "idempotency_key.reused",
        }
    }
}

impl Classified for UseCaseError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Refused(_) | Self::Answer(_) => ErrorClass::Permanent,
            Self::Store(error) => error.class(),
            Self::Commit(error) => error.class(),
            Self::Write(error) => error.class(),
            Self::Publish(error) => error.class(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::Store(error) => error.code(),
            Self::Commit(error) => error.code(),
            Self::Write(error) => error.code(),
            Self::Publish(error) => error.code(),
            Self::Answer(error) => error.code(),
        }
    }
}

impl From<crate::events::OutboxError> for UseCaseError {
    fn from(error: crate::events::OutboxError) -> Self {
        Self::Write(WriteError::Outbox(error))
    }
}

impl From<InvalidInput> for UseCaseError {
    fn from(invalid: InvalidInput) -> Self {
        Self::Refused(Refusal::Invalid(invalid))
    }
}
