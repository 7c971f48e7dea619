//! The ids of the product's entities: UUIDv7 from the `Ids` port, one type for each entity.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::contract::PayloadField;
use crate::ids::{Ids, InvalidId, MessageId};

macro_rules! entity_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Takes a new id from `ids`.
            pub fn new(ids: &dyn Ids) -> Self {
                Self(ids.next())
            }

            /// The id as a UUID.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                // One id has one spelling, the same as a message's.
                text.parse::<MessageId>().map(|id| Self(id.uuid()))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                MessageId::deserialize(deserializer).map(|id| Self(id.uuid()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl PayloadField for $name {}
    };
}

entity_id!(
    /// A person, across all organizations.
    UserId
);
entity_id!(
    /// A key that programs call the API with. Not secret; the key itself is.
    ApiKeyId
);
entity_id!(
    /// A link that signs someone in.
    SignInLinkId
);
entity_id!(
    /// An invitation to an organization.
    InvitationId
);
entity_id!(
    /// A record of a project.
    RecordId
);
entity_id!(
    /// A batch of records that came in one request.
    BatchId
);
entity_id!(
    /// A request that carried an `Idempotency-Key`.
    RequestId
);
entity_id!(
    /// A webhook of a project.
    WebhookId
);
entity_id!(
    /// What a project used beyond what is included, as it was reported.
    OverageReportId
);
entity_id!(
    /// A trouble of a source of records.
    IncidentId
);
entity_id!(
    /// Something a member is told.
    NotificationId
);
entity_id!(
    /// What happened in a week of a project.
    WeeklyDigestId
);
entity_id!(
    /// What a project holds, as a file.
    ExportId
);
