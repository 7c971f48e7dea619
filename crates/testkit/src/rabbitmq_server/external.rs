//! A server that was there before the tests, and stays.

use url::Url;

use crate::throw_away::trouble::{Outcome, Trouble};

/// Names a server to use instead of starting one.
pub(super) const URL_VARIABLE: &str = "AFTERCOMMIT_TEST_RABBITMQ_URL";

/// The server the environment names, if it does.
pub(super) fn url() -> Outcome<Option<Url>> {
    #[expect(
        clippy::disallowed_methods,
        reason = "which server the tests use is no configuration of the platform"
    )]
    let named = std::env::var(URL_VARIABLE);
    match named {
        Ok(url) if !url.is_empty() => parse(&url).map(Some),
        Ok(_) | Err(std::env::VarError::NotPresent) => Ok(None),
        Err(error @ std::env::VarError::NotUnicode(_)) => Err(Trouble::new(format!("{URL_VARIABLE}: {error}"))),
    }
}

fn parse(url: &str) -> Outcome<Url> {
    // The URL may hold a password, so it is not repeated.
    let url = Url::parse(url).map_err(Trouble::while_doing(&format!("{URL_VARIABLE} is no URL")))?;
    if url.scheme() != "amqp" || url.host_str().is_none_or(str::is_empty) {
        return Err(Trouble::new(format!(
            "{URL_VARIABLE} must be like amqp://user:password@host:5672/%2f"
        )));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_something_else_is_refused_without_repeating_it() {
        for wrong in ["mysql://root:geheim@localhost", "geheim", "amqp:///geheim"] {
            let refused = parse(wrong).unwrap_err().to_string();
            assert!(
                refused.contains(URL_VARIABLE) && !refused.contains("geheim"),
                "{refused}"
            );
        }
        assert!(parse("amqp://guest@localhost/%2f").is_ok());
    }
}
