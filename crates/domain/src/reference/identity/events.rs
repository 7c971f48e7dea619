//! What happens to people and keys.

use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, ProjectId, Sealed};
use crate::effects::EmailAddress;
use crate::events::DomainEvent;
use crate::reference::identity::Role;
use crate::reference::{ApiKeyId, SignInLinkId, UserId};
use crate::time::Timestamp;

/// Someone new proved to be at the door; told of where they entered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "UserSignedUp", version = 1, aggregate = "user")]
pub struct UserSignedUp {
    /// The organization they entered.
    pub organization_id: OrganizationId,
    /// The project they entered.
    pub project_id: ProjectId,
    /// Who.
    #[aggregate_id]
    pub user_id: UserId,
}

/// Someone became a member of an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "MemberJoined", version = 1, aggregate = "organization")]
pub struct MemberJoined {
    /// The organization.
    #[aggregate_id]
    pub organization_id: OrganizationId,
    /// The project they came for.
    pub project_id: ProjectId,
    /// Who.
    pub user_id: UserId,
    /// As what.
    pub role: Role,
}

/// An API key was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "ApiKeyCreated", version = 1, aggregate = "api-key")]
pub struct ApiKeyCreated {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project it was made for.
    pub project_id: ProjectId,
    /// The key.
    #[aggregate_id]
    pub api_key_id: ApiKeyId,
}

/// An API key stopped working.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "ApiKeyRevoked", version = 1, aggregate = "api-key")]
pub struct ApiKeyRevoked {
    /// Whose it was.
    pub organization_id: OrganizationId,
    /// The project it was made for.
    pub project_id: ProjectId,
    /// The key.
    #[aggregate_id]
    pub api_key_id: ApiKeyId,
}

/// Someone asked for a magic link, which is to be sent to them. The address and the link are sealed: together they are
/// a way in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "MagicLinkEmailRequested", version = 1, aggregate = "sign-in-link")]
#[exempt(system, "whoever signs in has no tenant yet")]
pub struct MagicLinkEmailRequested {
    /// The link's id.
    #[aggregate_id]
    pub sign_in_link_id: SignInLinkId,
    /// Whom to send it to.
    pub email: Sealed<EmailAddress>,
    /// The link.
    pub magic_link_url: Sealed<String>,
    /// From when on it does not work.
    pub expires_at: Timestamp,
}

/// Someone is no member of an organization any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "MemberLeft", version = 1, aggregate = "organization")]
#[exempt(organization, "a person belongs to organizations, not to projects")]
pub struct MemberLeft {
    /// The organization.
    #[aggregate_id]
    pub organization_id: OrganizationId,
    /// Who.
    pub user_id: UserId,
}

/// Someone who had left an organization is its member again, as before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "MemberRestored", version = 1, aggregate = "organization")]
#[exempt(organization, "a person belongs to organizations, not to projects")]
pub struct MemberRestored {
    /// The organization.
    #[aggregate_id]
    pub organization_id: OrganizationId,
    /// Who.
    pub user_id: UserId,
}

/// A person is to be deleted after a grace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "UserDeletionRequested", version = 1, aggregate = "user")]
#[exempt(organization, "a person belongs to organizations, not to projects")]
pub struct UserDeletionRequested {
    /// Who asked.
    pub organization_id: OrganizationId,
    /// Who is to be deleted.
    #[aggregate_id]
    pub user_id: UserId,
}

/// A person is forgotten; what is left of them is their id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "UserDeleted", version = 1, aggregate = "user")]
#[exempt(organization, "a person belongs to organizations, not to projects")]
pub struct UserDeleted {
    /// Who had asked.
    pub organization_id: OrganizationId,
    /// Who was deleted.
    #[aggregate_id]
    pub user_id: UserId,
}
