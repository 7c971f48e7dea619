//! What goes wrong with a broker, told apart where it arises.

use std::fmt;

use aftercommit_domain::failure::bounded_text;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::{Error, ErrorKind};

/// A call to the broker that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) kind: TroubleKind,
    reason: String,
}

/// What a failed call means for whoever made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TroubleKind {
    /// The connection is gone, or was never there.
    Away,
    /// No answer in time: it may have happened.
    Silent,
    /// The broker takes nothing at present.
    Blocked,
    /// The login, the virtual host or a permission.
    Forbidden,
    /// Something that must be there is not.
    Missing,
    /// Something is there, and differs from what is asked for.
    Drifted,
    /// The broker closed the channel for what was sent on it.
    Rejected,
}

impl Trouble {
    pub(crate) fn new(kind: TroubleKind, reason: impl fmt::Display) -> Self {
        Self {
            kind,
            reason: bounded_text(&reason.to_string()),
        }
    }

    pub(crate) fn away(reason: impl fmt::Display) -> Self {
        Self::new(TroubleKind::Away, reason)
    }

    pub(crate) fn silent(what: &str, waited: std::time::Duration) -> Self {
        Self::new(TroubleKind::Silent, format!("{what}: no answer within {waited:?}"))
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::ProtocolError(refused) => match refused.kind() {
                AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)
                | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED | AMQPHardError::INVALIDPATH) => TroubleKind::Forbidden,
                AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) => TroubleKind::Missing,
                AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) if is_drift(refused.get_message().as_str()) => {
                    TroubleKind::Drifted
                }
                AMQPErrorKind::Soft(_) => TroubleKind::Rejected,
                AMQPErrorKind::Hard(_) => TroubleKind::Away,
            },
            // Whatever else it is, nothing can be done on this connection any more.
            _ => TroubleKind::Away,
        };
        Self::new(kind, error)
    }
}

fn is_drift(message: &str) -> bool {
    message.contains("inequivalent arg")
}
