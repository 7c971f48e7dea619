//! What an error of the `object_store` crate means.

use aftercommit_domain::effects::ObjectStorageError;
use object_store::Error;

/// The longest reason, in bytes.
const MAX_REASON: usize = 500;

/// Codes of S3 that say: these credentials are not, or no longer, good. Somebody replaces them, and the call is made again.
const UNAUTHENTICATED: [&str; 6] = [
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "TokenRefreshRequired",
    "RequestTimeTooSkewed",
];

/// Codes of S3 that say: not like this.
const REFUSED: [&str; 9] = [
    "AccessDenied",
    "AllAccessDisabled",
    "AccountProblem",
    "AuthorizationHeaderMalformed",
    "EntityTooLarge",
    "InvalidBucketName",
    "MethodNotAllowed",
    "NoSuchBucket",
    "PermanentRedirect",
];

/// `None` for what is not there. A bucket that is not there is an error.
pub(crate) fn found<T>(result: Result<T, Error>) -> Result<Option<T>, ObjectStorageError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::NotFound { source, .. }) if !source.to_string().contains("<Code>NoSuchBucket</Code>") => Ok(None),
        Err(error) => Err(seen(&error)),
    }
}

pub(crate) fn seen(error: &Error) -> ObjectStorageError {
    let text = error.to_string();
    // The body of S3's answer also repeats the request and how it was signed; the code and the message are enough.
    if let Some(code) = element(&text, "Code") {
        let reason = bounded(format!("{code}: {}", element(&text, "Message").unwrap_or_default()));
        if UNAUTHENTICATED.contains(&code) {
            return ObjectStorageError::Unauthenticated { reason };
        }
        if REFUSED.contains(&code) {
            return ObjectStorageError::Refused { reason };
        }
        return ObjectStorageError::Unavailable { reason };
    }
    let reason = bounded(text);
    match error {
        Error::Unauthenticated { .. } => ObjectStorageError::Unauthenticated { reason },
        Error::PermissionDenied { .. }
        | Error::NotSupported { .. }
        | Error::NotImplemented { .. }
        | Error::InvalidPath { .. }
        | Error::UnknownConfigurationKey { .. } => ObjectStorageError::Refused { reason },
        // What S3 answers where the region is not the bucket's.
        _ if reason.contains("incorrectly configured region") => ObjectStorageError::Refused { reason },
        _ => ObjectStorageError::Unavailable { reason },
    }
}

fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}

fn bounded(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_REASON));
    text
}
