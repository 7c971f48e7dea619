//! What names a bucket of S3 and a server that has some. What is wrong is said without repeating the text.

use url::Url;

/// The longest prefix: with it the longest key of an object is below the 1024 bytes that S3 takes.
const MAX_PREFIX: usize = 200;

/// The bucket and the prefix of what follows `s3:`.
pub(crate) fn bucket(rest: &str) -> Result<(String, String), String> {
    let rest = rest.strip_prefix("//").ok_or("has no bucket after s3://")?;
    if rest.contains('@') {
        return Err("has a user; the key is AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned());
    }
    if rest.contains(['?', '#']) {
        return Err("has parameters; AWS_REGION and AWS_ENDPOINT_URL are variables of their own".to_owned());
    }
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let is_edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = bucket.as_bytes();
    let is_bucket = (3..=63).contains(&bytes.len())
        && bytes.iter().all(|byte| is_edge(*byte) || matches!(byte, b'-' | b'.'))
        && bytes.first().is_some_and(|byte| is_edge(*byte))
        && bytes.last().is_some_and(|byte| is_edge(*byte));
    if !is_bucket {
        return Err(
            "names a bucket that is not 3 to 63 of a-z, 0-9, - and ., with a letter or a digit at both ends".to_owned(),
        );
    }
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let is_segment = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    if !prefix.is_empty() && (prefix.len() > MAX_PREFIX || !prefix.split('/').all(is_segment)) {
        return Err(
            "has a prefix that is not 1 to 200 of a-z, A-Z, 0-9, -, _ and . with single slashes between".to_owned(),
        );
    }
    Ok((bucket.to_owned(), prefix.to_owned()))
}

/// A server that speaks S3.
pub(crate) fn endpoint(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "is not a URL".to_owned())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("begins with another scheme".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a user; the key is AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned());
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err("has more than a host and a port; the bucket stands in STORAGE_URL".to_owned());
    }
    Ok(url)
}

pub(crate) fn check_region(text: &str) -> Result<(), String> {
    let is_region = text.len() <= 64
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if is_region {
        Ok(())
    } else {
        Err("is not 1 to 64 of a-z, 0-9 and -".to_owned())
    }
}

/// What travels in headers.
pub(crate) fn check_printable(text: &str) -> Result<(), String> {
    if text.len() > 4096 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("cannot be sent in a header".to_owned());
    }
    Ok(())
}
