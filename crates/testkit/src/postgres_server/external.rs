//! A server that was there before the tests, and stays.

use url::Url;

use super::admin;
use crate::throw_away::trouble::{Outcome, Trouble};

/// Names a server to use instead of starting one: its superuser's URL.
pub(super) const URL_VARIABLE: &str = "AFTERCOMMIT_TEST_DATABASE_URL";

/// Drops what runs left that were killed: databases that are older than an hour and that nobody uses.
///
/// The age is that of a file the server writes when it makes the database, by the server's own clock.
const LEFT_BEHIND: &str = "
    SELECT quote_ident(datname) FROM pg_database AS d
    WHERE starts_with(datname, 'aftercommit_test_')
        AND (pg_stat_file('base/' || d.oid || '/PG_VERSION', true)).modification < now() - interval '1 hour'
        AND NOT EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.datid = d.oid)";

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
    if !matches!(url.scheme(), "postgres" | "postgresql") || url.host_str().is_none_or(str::is_empty) {
        return Err(Trouble::new(format!(
            "{URL_VARIABLE} must be like postgres://superuser:password@host:5432/postgres"
        )));
    }
    Ok(url)
}

/// Checks that it can be used, and clears up after earlier runs.
pub(super) fn prepare(url: &Url) -> Outcome<()> {
    let superuser = admin::run(url, vec!["SELECT current_setting('is_superuser')".to_owned()])?;
    if superuser != ["on"] {
        return Err(Trouble::new(format!(
            "the user of {URL_VARIABLE} must be a superuser: tests make databases and roles"
        )));
    }
    for database in admin::run(url, vec![LEFT_BEHIND.to_owned()])? {
        // Another process may be faster.
        let _dropped = admin::run(url, vec![format!("DROP DATABASE IF EXISTS {database}")]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_something_else_is_refused_without_repeating_it() {
        for wrong in ["mysql://root:geheim@localhost", "geheim", "postgres:///geheim"] {
            let refused = parse(wrong).unwrap_err().to_string();
            assert!(
                refused.contains(URL_VARIABLE) && !refused.contains("geheim"),
                "{refused}"
            );
        }
        assert!(parse("postgresql://postgres@localhost:5433/postgres").is_ok());
    }
}
