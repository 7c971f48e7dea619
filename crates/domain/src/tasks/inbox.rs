//! The inbox: what makes a task that arrives twice take effect once.

use std::fmt;

use async_trait::async_trait;
use serde_json::Value;
use uuid::Uuid;

use crate::contract::{HandlerName, Json, TaskEnvelope, Tenant, TenantMismatch};
use crate::failure::{Classified, ErrorClass};
use crate::ids::MessageId;
use crate::time::Timestamp;

/// Remembers which messages a handler has done, in the transaction it does them in.
///
/// **Contract**: bound to one open transaction. A claim is part of it: it stays when the transaction commits, and is gone when
/// it does not. Of any number of transactions that claim the same message for the same handler, one commits with
/// [`InboxClaim::First`]; every other sees [`InboxClaim::Seen`], waits a bounded time for the one that is open, or fails.
/// Messages of different tenants and of different handlers have nothing to do with each other. A claim is remembered for
/// 14 days, or as `AFTERCOMMIT_HISTORY__INBOX` says.
///
/// # Errors
/// [`InboxError`]; after one the transaction is of no more use.
#[async_trait]
pub trait Inbox: Send {
    /// Claims `message`, before anything else in the transaction.
    async fn claim(&mut self, message: &InboxMessage) -> Result<InboxClaim, InboxError>;
}

/// Keeps the inbox from growing for ever.
#[async_trait]
pub trait InboxMaintenance: Send + Sync {
    /// Forgets up to `limit` claims made before `before`, the oldest first; not those of a message that is a dead letter,
    /// which somebody may replay. Answers how many.
    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, InboxError>;
}

/// What is claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxMessage {
    /// Whose it is.
    pub tenant: Tenant,
    /// Who handles it. Several handlers of one message do not know of each other.
    pub handler: HandlerName,
    /// Its id.
    pub id: MessageId,
    /// What it says.
    pub payload: PayloadDigest,
}

impl InboxMessage {
    /// The claim of the one handler that runs this task.
    pub fn of(task: &TaskEnvelope) -> Self {
        Self {
            tenant: task.tenant.clone(),
            handler: HandlerName::of_task(&task.topic, &task.task),
            id: task.id,
            payload: PayloadDigest::of(&task.payload, task.version),
        }
    }

    /// What a claim that was there already means: this message again, or another one under its id.
    ///
    /// # Errors
    /// [`InboxError::Conflict`] when it is another one.
    pub fn again(&self, earlier: PayloadDigest) -> Result<InboxClaim, InboxError> {
        if self.payload.contradicts(earlier) {
            return Err(InboxError::Conflict {
                handler: self.handler.clone(),
                id: self.id,
            });
        }
        Ok(InboxClaim::Seen)
    }

    /// Refuses a claim in a transaction of somebody else.
    ///
    /// # Errors
    /// [`InboxError::Tenant`].
    pub fn check_tenant(&self, transaction: &Tenant) -> Result<(), InboxError> {
        if transaction.may_write_for(&self.tenant) {
            return Ok(());
        }
        Err(InboxError::Tenant(TenantMismatch {
            what: format!("the claim of {} by {}", self.id, self.handler),
            got: self.tenant.clone(),
            expected: transaction.clone(),
        }))
    }
}

/// What a claim came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InboxClaim {
    /// Nobody has done it: do it in this transaction.
    First,
    /// It is done.
    Seen,
}

/// What a payload says, in 16 bytes: to notice when another message comes under the id of one that is done.
///
/// The version of the payload and 112 bits of a hash of its JSON. White space and the order of keys do not matter, and what
/// is sealed counts as sealed: a redelivered event seals it anew. A payload of another version says nothing about this one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PayloadDigest([u8; 16]);

impl PayloadDigest {
    /// The digest of `payload` in `version`.
    pub fn of(payload: &Json, version: u16) -> Self {
        let canonical = serde_json::from_str::<Value>(payload.as_str()).map(|mut value| {
            mask_sealed(&mut value);
            value.to_string()
        });
        // Checked JSON is JSON; should a reader ever be stricter, the text itself still tells payloads apart.
        let canonical = canonical.unwrap_or_else(|_| payload.as_str().to_owned());
        let mut bytes = *Uuid::new_v5(&Uuid::nil(), canonical.as_bytes()).as_bytes();
        let [high, low] = version.to_be_bytes();
        (bytes[0], bytes[1]) = (high, low);
        Self(bytes)
    }

    /// As it is stored.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// As it was stored.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    fn contradicts(self, other: Self) -> bool {
        self.0[..2] == other.0[..2] && self != other
    }
}

impl fmt::Debug for PayloadDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Uuid::from_bytes(self.0).to_string())
    }
}

fn mask_sealed(value: &mut Value) {
    match value {
        Value::Object(fields) if fields.len() == 1 && fields.get("sealed").is_some_and(Value::is_string) => {
            *value = Value::Null;
        }
        Value::Object(fields) => fields.values_mut().for_each(mask_sealed),
        Value::Array(values) => values.iter_mut().for_each(mask_sealed),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A message was not claimed. Nothing of the transaction may be kept.
#[derive(Debug, Clone, thiserror::Error)]
pub enum InboxError {
    /// The store is away or too slow.
    #[error("the inbox is unavailable ({operation}): {reason}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// What the store said.
        reason: String,
    },
    /// The store refused the statement.
    #[error("the inbox refused {operation}: {reason}")]
    Refused {
        /// What was tried.
        operation: &'static str,
        /// What the store said.
        reason: String,
    },
    /// Another run of the same message is open, and was for as long as a claim waits.
    #[error("another run of {id} by {handler} is not over yet")]
    Busy {
        /// Who handles it.
        handler: HandlerName,
        /// The message.
        id: MessageId,
    },
    /// A message of this id was done that said something else.
    #[error("{handler} has done a message {id} before that said something else; an id belongs to one message")]
    Conflict {
        /// Who handles it.
        handler: HandlerName,
        /// The message.
        id: MessageId,
    },
    /// A message of another tenant than the transaction's.
    #[error(transparent)]
    Tenant(#[from] TenantMismatch),
}

impl Classified for InboxError {
    fn class(&self) -> ErrorClass {
        match self {
            // That another run is open is no failed attempt of this one.
            Self::Unavailable { .. } | Self::Busy { .. } => ErrorClass::Outage,
            Self::Refused { .. } | Self::Conflict { .. } | Self::Tenant(_) => ErrorClass::Permanent,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "inbox.unavailable",
            Self::Refused { .. } => "inbox.refused",
            Self::Busy { .. } => "inbox.busy",
            Self::Conflict { .. } => "id.conflict",
            Self::Tenant(_) => "tenant.mismatch",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Limits;

    fn digest(payload: &str, version: u16) -> PayloadDigest {
        PayloadDigest::of(&Json::parse(payload, &Limits::default()).unwrap(), version)
    }

    #[test]
    fn payloads_that_say_the_same_have_one_digest() {
        let one = digest(r#"{"a":1,"b":[true,{"c":null}]}"#, 1);
        assert_eq!(one, digest(r#"{ "b": [true, {"c": null}], "a": 1 }"#, 1));
        assert!(one.contradicts(digest(r#"{"a":2,"b":[true,{"c":null}]}"#, 1)));
        assert!(one.contradicts(digest("{}", 1)));
        assert_eq!(PayloadDigest::from_bytes(one.to_bytes()), one);
    }

    #[test]
    fn what_is_sealed_anew_and_what_is_of_another_version_contradicts_nothing() {
        let one = digest(r#"{"to":{"sealed":"k1:AAAA"},"n":1}"#, 1);
        assert!(!one.contradicts(digest(r#"{"to":{"sealed":"k2:BBBB"},"n":1}"#, 1)));
        assert!(one.contradicts(digest(r#"{"to":{"sealed":"k1:AAAA"},"n":2}"#, 1)));
        assert!(!one.contradicts(digest(r#"{"n":2}"#, 2)));
    }
}
