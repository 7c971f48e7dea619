//! Why a webhook was not delivered.

use std::time::Duration;

use crate::effects::ForbiddenUrl;
use crate::failure::{Classified, ErrorClass};

/// A webhook was not delivered, or it is not known whether it was. Never holds what the receiver said: whoever reads it may
/// be another tenant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// It leads where nothing is sent to: nothing was.
    #[error(transparent)]
    Forbidden(#[from] ForbiddenUrl),
    /// The host has no address, or its name server does not answer.
    #[error("the receiver's name has no address: {reason}")]
    Unresolved {
        /// What was seen.
        reason: String,
    },
    /// No connection came about.
    #[error("the receiver was not reached: {reason}")]
    Unreachable {
        /// What was seen.
        reason: String,
    },
    /// Its certificate is not valid for it, or it speaks no TLS.
    #[error("no secure connection to the receiver: {reason}")]
    Tls {
        /// What was seen.
        reason: String,
    },
    /// It did not answer in time; it may have taken the message.
    #[error("the receiver did not answer within {limit:?}")]
    TimedOut {
        /// How long it had.
        limit: Duration,
    },
    /// It closed the connection, or answered something that is no HTTP; it may have taken the message.
    #[error("the receiver gave no answer: {reason}")]
    NoAnswer {
        /// What was seen.
        reason: String,
    },
    /// It answers more than anybody reads; it may have taken the message.
    #[error("the receiver's answer is longer than {limit} bytes")]
    AnswerTooLong {
        /// How much is read.
        limit: usize,
    },
    /// It names another place. Redirects are not followed: the other place was never checked.
    #[error("the receiver answered {status}, a redirect, which is not followed")]
    Redirected {
        /// The status, 300 to 399.
        status: u16,
    },
    /// It asks to slow down: 429, or 503 with `Retry-After`.
    #[error("the receiver answered {status}: it asks to slow down")]
    Throttled {
        /// The status.
        status: u16,
        /// How long it asks to be left alone, within bounds; `None` when it did not say.
        retry_after: Option<Duration>,
    },
    /// It could not take it this time: 5xx, 408, 409 or 425.
    #[error("the receiver answered {status}")]
    Failed {
        /// The status.
        status: u16,
        /// When it said how long to wait, within bounds.
        retry_after: Option<Duration>,
    },
    /// It will never take it: any other 4xx.
    #[error("the receiver refused it with {status}")]
    Refused {
        /// The status.
        status: u16,
    },
    /// 410: it wants no webhooks any more.
    #[error("the receiver answered 410: it wants no webhooks any more")]
    Gone,
}

impl WebhookError {
    /// What a status means that is not 2xx. `retry_after` is what the answer said about it.
    pub const fn of_status(status: u16, retry_after: Option<Duration>) -> Self {
        match status {
            429 => Self::Throttled { status, retry_after },
            503 if retry_after.is_some() => Self::Throttled { status, retry_after },
            408 | 409 | 425 => Self::Failed { status, retry_after },
            410 => Self::Gone,
            300..=399 => Self::Redirected { status },
            400..=499 => Self::Refused { status },
            _ => Self::Failed { status, retry_after },
        }
    }
}

impl Classified for WebhookError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Unresolved { .. }
            | Self::Unreachable { .. }
            | Self::Tls { .. }
            | Self::TimedOut { .. }
            | Self::NoAnswer { .. }
            | Self::AnswerTooLong { .. }
            | Self::Redirected { .. }
            | Self::Failed { .. } => ErrorClass::Retryable,
            Self::Throttled { .. } => ErrorClass::RateLimited,
            Self::Forbidden(_) | Self::Refused { .. } | Self::Gone => ErrorClass::Permanent,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Forbidden(_) => ForbiddenUrl::CODE,
            Self::Unresolved { .. } => "webhook.unresolved",
            Self::Unreachable { .. } => "webhook.unreachable",
            Self::Tls { .. } => "webhook.tls",
            Self::TimedOut { .. } => "webhook.timed_out",
            Self::NoAnswer { .. } => "webhook.no_answer",
            Self::AnswerTooLong { .. } => "webhook.answer_too_long",
            Self::Redirected { .. } => "webhook.redirected",
            Self::Throttled { .. } => "webhook.throttled",
            Self::Failed { .. } => "webhook.failed",
            Self::Refused { .. } => "webhook.refused",
            Self::Gone => "webhook.gone",
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } | Self::Failed { retry_after, .. } => *retry_after,
            Self::Forbidden(_)
            | Self::Unresolved { .. }
            | Self::Unreachable { .. }
            | Self::Tls { .. }
            | Self::TimedOut { .. }
            | Self::NoAnswer { .. }
            | Self::AnswerTooLong { .. }
            | Self::Redirected { .. }
            | Self::Refused { .. }
            | Self::Gone => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::seconds;

    #[test]
    fn every_status_has_its_class() {
        let wait = Some(seconds(30));
        for (status, retry_after, class, code) in [
            (101, None, ErrorClass::Retryable, "webhook.failed"),
            (301, None, ErrorClass::Retryable, "webhook.redirected"),
            (308, wait, ErrorClass::Retryable, "webhook.redirected"),
            (400, None, ErrorClass::Permanent, "webhook.refused"),
            (401, wait, ErrorClass::Permanent, "webhook.refused"),
            (404, None, ErrorClass::Permanent, "webhook.refused"),
            (408, None, ErrorClass::Retryable, "webhook.failed"),
            (409, None, ErrorClass::Retryable, "webhook.failed"),
            (410, None, ErrorClass::Permanent, "webhook.gone"),
            (425, None, ErrorClass::Retryable, "webhook.failed"),
            (429, None, ErrorClass::RateLimited, "webhook.throttled"),
            (429, wait, ErrorClass::RateLimited, "webhook.throttled"),
            (500, None, ErrorClass::Retryable, "webhook.failed"),
            (500, wait, ErrorClass::Retryable, "webhook.failed"),
            (503, None, ErrorClass::Retryable, "webhook.failed"),
            (503, wait, ErrorClass::RateLimited, "webhook.throttled"),
            (599, None, ErrorClass::Retryable, "webhook.failed"),
        ] {
            let error = WebhookError::of_status(status, retry_after);
            assert_eq!((error.class(), error.code()), (class, code), "{status}");
            let honoured = matches!(error, WebhookError::Throttled { .. } | WebhookError::Failed { .. });
            assert_eq!(error.retry_after(), retry_after.filter(|_| honoured), "{status}");
        }
    }
}
