//! One request of the demonstration, and its answer.

use reqwest::Method;
use serde::Serialize;
use serde_json::Value;

use crate::demo::order::Rail;

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    SignUp,
    CreateProject,
    DeleteProject,
    Invite,
    Revoke,
    Accept,
    RequestLink,
    FollowLink,
    CreateKey,
    RevokeKey,
    Ingest,
    /// A request that must be refused.
    Bad,
}

/// What has to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Expected {
    /// It is taken.
    Taken,
    /// It is refused.
    Refused,
    /// One or the other: another request may have come first.
    Either,
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// In the order they were decided on.
    pub(crate) number: u64,
    /// `X-Request-Id`: what everything it leads to belongs to. Repetitions have the same.
    pub(crate) request_id: String,
    pub(crate) what: What,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Option<Body>,
    pub(crate) bearer: Option<String>,
    pub(crate) idempotency_key: Option<String>,
    /// Whose it is, by place in the world.
    pub(crate) tenant: Option<usize>,
    /// What it is about, for the world: an address, or an id.
    pub(crate) about: String,
    pub(crate) expected: Expected,
    /// The events it leads to when it is taken, each as often as it is here.
    pub(crate) events: &'static [&'static str],
    /// Whether it repeats an earlier one under its key.
    pub(crate) is_repetition: bool,
}

/// What is sent.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    Json(Value),
    /// As it is, with this content type.
    Raw(String, &'static str),
}

/// What was answered.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// 2xx.
    Taken { status: u16, body: Value },
    /// 4xx: nothing was done.
    Refused { status: u16, code: String },
    /// Done or not: no answer, or one that leaves it open.
    Unknown { reason: String },
}

impl What {
    /// How the events it leads to get to the queue.
    pub(crate) const fn rail(self) -> Rail {
        match self {
            Self::Ingest => Rail::Direct,
            Self::SignUp
            | Self::CreateProject
            | Self::DeleteProject
            | Self::Invite
            | Self::Revoke
            | Self::Accept
            | Self::RequestLink
            | Self::FollowLink
            | Self::CreateKey
            | Self::RevokeKey
            | Self::Bad => Rail::Outbox,
        }
    }

    /// For people.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::SignUp => "sign-ups",
            Self::CreateProject => "projects created",
            Self::DeleteProject => "projects deleted",
            Self::Invite => "invitations",
            Self::Revoke => "invitations revoked",
            Self::Accept => "invitations accepted",
            Self::RequestLink => "magic links",
            Self::FollowLink => "magic links followed",
            Self::CreateKey => "API keys created",
            Self::RevokeKey => "API keys revoked",
            Self::Ingest => "batches of records",
            Self::Bad => "bad requests",
        }
    }
}

impl Outcome {
    /// A field of the body of an answer.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        match self {
            Self::Taken { body, .. } => body.get(name)?.as_str().map(str::to_owned),
            Self::Refused { .. } | Self::Unknown { .. } => None,
        }
    }
}
