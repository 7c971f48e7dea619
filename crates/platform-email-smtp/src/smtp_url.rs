//! Which SMTP server takes the e-mails, and how the way there is protected.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use url::{Host, Url};

/// A server that takes e-mails. Written as one of
///
/// - `smtps://user:password@host:465`: TLS from the first byte;
/// - `smtp://user:password@host:587?tls=required`: STARTTLS before anything else, or nothing is sent;
/// - `smtp://127.0.0.1:25`: nothing, for a server on this machine;
/// - `smtp://host:25?tls=insecure-plain-text`: nothing, for another machine whose network is trusted that much.
///
/// Special characters of user and password are percent-encoded. Without a port, those above are meant.
#[derive(Debug, Clone)]
pub struct SmtpUrl {
    /// A host name or an IP address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// How the connection is protected.
    pub security: SmtpSecurity,
    /// Who logs in, if anybody does.
    pub credentials: Option<SmtpCredentials>,
}

/// How a connection is protected. It never falls back to a weaker way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// TLS from the first byte.
    Tls,
    /// STARTTLS before anything else.
    StartTls,
    /// Everybody on the way can read and change it.
    PlainText,
}

/// Who logs in at a server. `Debug` shows neither name nor password: the name often is an e-mail address.
#[derive(Clone)]
pub struct SmtpCredentials {
    /// The user's name.
    pub username: String,
    /// The user's password.
    pub password: SecretString,
}

impl fmt::Debug for SmtpCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpCredentials").finish_non_exhaustive()
    }
}

/// The text names no SMTP server. No message repeats any part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSmtpUrl {
    /// No URL at all.
    #[error("the SMTP URL is not a URL ({0}); expected {EXPECTED}")]
    NotAUrl(url::ParseError),
    /// Another scheme.
    #[error("the SMTP URL has a scheme other than smtp and smtps; expected {EXPECTED}")]
    Scheme,
    /// No host, or one with characters no host has.
    #[error("the SMTP URL names no host; expected {EXPECTED}")]
    Host,
    /// Port 0.
    #[error("the SMTP URL has port 0, which no server has; expected {EXPECTED}")]
    Port,
    /// A path or a fragment.
    #[error("the SMTP URL has something after host and port; expected {EXPECTED}")]
    Trailing,
    /// Parameters that mean nothing here.
    #[error(
        "the SMTP URL has parameters other than tls=required or tls=insecure-plain-text after smtp://; expected \
         {EXPECTED}"
    )]
    Parameter,
    /// Unprotected, to another machine.
    #[error(
        "the SMTP URL would send e-mails and passwords to another machine without TLS; expected {EXPECTED}, or \
         ?tls=insecure-plain-text if that is really meant"
    )]
    PlainText,
    /// Only one of user and password.
    #[error("the SMTP URL has only one of user and password; expected {EXPECTED}")]
    HalfALogin,
    /// User or password hold bytes that cannot be sent.
    #[error("the SMTP URL has a user or password that is not UTF-8 or holds control characters; expected {EXPECTED}")]
    Login,
}

const EXPECTED: &str = "smtps://user:password@host:465, smtp://user:password@host:587?tls=required, or \
                        smtp://127.0.0.1:25 for a server on this machine, with special characters of user and \
                        password percent-encoded";

impl SmtpUrl {
    /// Reads a URL of the forms named above.
    ///
    /// # Errors
    /// What is wrong and what is expected, without any part of the text.
    pub fn parse(text: &str) -> Result<Self, InvalidSmtpUrl> {
        let url = Url::parse(text.trim()).map_err(InvalidSmtpUrl::NotAUrl)?;
        if !matches!(url.scheme(), "smtp" | "smtps") {
            return Err(InvalidSmtpUrl::Scheme);
        }
        let host = match url.host() {
            Some(Host::Domain(name)) if is_host_name(name) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            Some(Host::Domain(_)) | None => return Err(InvalidSmtpUrl::Host),
        };
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(InvalidSmtpUrl::Trailing);
        }
        let (security, port) = match (url.scheme(), url.query()) {
            ("smtps", None) => (SmtpSecurity::Tls, 465),
            ("smtp", Some("tls=required")) => (SmtpSecurity::StartTls, 587),
            ("smtp", Some("tls=insecure-plain-text")) => (SmtpSecurity::PlainText, 25),
            ("smtp", None) if is_loopback(&host) => (SmtpSecurity::PlainText, 25),
            ("smtp", None) => return Err(InvalidSmtpUrl::PlainText),
            (_, _) => return Err(InvalidSmtpUrl::Parameter),
        };
        let port = url.port().unwrap_or(port);
        if port == 0 {
            return Err(InvalidSmtpUrl::Port);
        }
        Ok(Self {
            host,
            port,
            security,
            credentials: credentials(&url)?,
        })
    }
}

impl FromStr for SmtpUrl {
    type Err = InvalidSmtpUrl;

    fn from_str(text: &str) -> Result<Self, InvalidSmtpUrl> {
        Self::parse(text)
    }
}

fn credentials(url: &Url) -> Result<Option<SmtpCredentials>, InvalidSmtpUrl> {
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        ("", Some(_)) | (_, None) => Err(InvalidSmtpUrl::HalfALogin),
        (username, Some(password)) => Ok(Some(SmtpCredentials {
            username: decoded(username)?,
            password: decoded(password)?.into(),
        })),
    }
}

fn decoded(text: &str) -> Result<String, InvalidSmtpUrl> {
    let decoded = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| InvalidSmtpUrl::Login)?;
    // AUTH PLAIN separates name and password by a NUL, so one inside would mean somebody else.
    if decoded.chars().any(char::is_control) {
        return Err(InvalidSmtpUrl::Login);
    }
    Ok(decoded.into_owned())
}

fn is_host_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
}

/// A name other than `localhost` may resolve to anything, so only numbers count.
fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn each_form_names_its_host_port_and_protection() {
        use SmtpSecurity::{PlainText, StartTls, Tls};
        for (text, host, port, security) in [
            ("smtps://mail.example.com", "mail.example.com", 465, Tls),
            ("smtps://mail.example.com:2465/", "mail.example.com", 2465, Tls),
            (
                "smtp://mail.example.com?tls=required",
                "mail.example.com",
                587,
                StartTls,
            ),
            (
                "smtp://mail.example.com:25?tls=required",
                "mail.example.com",
                25,
                StartTls,
            ),
            ("smtp://localhost", "localhost", 25, PlainText),
            ("smtp://127.0.0.1:1025", "127.0.0.1", 1025, PlainText),
            ("smtp://[::1]:1025", "::1", 1025, PlainText),
            ("smtp://127.0.0.1?tls=required", "127.0.0.1", 587, StartTls),
            (
                "smtp://mailpit:1025?tls=insecure-plain-text",
                "mailpit",
                1025,
                PlainText,
            ),
        ] {
            let url = SmtpUrl::parse(text).unwrap();
            assert_eq!((&*url.host, url.port, url.security), (host, port, security), "{text}");
            assert!(url.credentials.is_none(), "{text}");
        }
    }

    #[test]
    fn percent_encoded_credentials_are_decoded() {
        let url = SmtpUrl::parse("smtps://me%40example.com:p%3A%2F%25%C3%9F@mail.example.com").unwrap();
        let credentials = url.credentials.unwrap();
        assert_eq!(credentials.username, "me@example.com");
        assert_eq!(credentials.password.expose_secret(), "p:/%ß");
    }

    #[test]
    fn a_url_that_would_expose_or_misread_something_is_refused() {
        for (text, expected) in [
            ("smtp://u:s3cr3t@mail.example.com", InvalidSmtpUrl::PlainText),
            ("smtp://u:s3cr3t@localhost.example.com", InvalidSmtpUrl::PlainText),
            ("smtp://u:s3cr3t@10.0.0.1:25", InvalidSmtpUrl::PlainText),
            (
                "smtp://u:s3cr3t@mail.example.com?tls=opportunistic",
                InvalidSmtpUrl::Parameter,
            ),
            (
                "smtp://u:s3cr3t@mail.example.com?tls=required&x=1",
                InvalidSmtpUrl::Parameter,
            ),
            (
                "smtps://u:s3cr3t@mail.example.com?tls=insecure-plain-text",
                InvalidSmtpUrl::Parameter,
            ),
            ("https://u:s3cr3t@mail.example.com", InvalidSmtpUrl::Scheme),
            ("smtps://u:s3cr3t@mail.example.com/path", InvalidSmtpUrl::Trailing),
            ("smtps://u:s3cr3t@mail.example.com#x", InvalidSmtpUrl::Trailing),
            ("smtps://u:s3cr3t@mail.example.com:0", InvalidSmtpUrl::Port),
            ("smtps://:s3cr3t@mail.example.com", InvalidSmtpUrl::HalfALogin),
            ("smtps://s3cr3t@mail.example.com", InvalidSmtpUrl::HalfALogin),
            ("smtps://u:s3cr3t%FF@mail.example.com", InvalidSmtpUrl::Login),
            ("smtps://u%00x:s3cr3t@mail.example.com", InvalidSmtpUrl::Login),
            ("smtps://u:s3cr3t@ma%20il", InvalidSmtpUrl::Host),
            ("smtps:s3cr3t", InvalidSmtpUrl::Host),
        ] {
            let error = SmtpUrl::parse(text).unwrap_err();
            assert_eq!(error, expected, "{text}");
            assert!(error.to_string().contains("smtps://user:password@host:465"), "{error}");
            assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error}");
        }
        for text in [
            "",
            "s3cr3t",
            "smtp://u:s3#cr3t@mail.example.com",
            "smtps://u:s3cr3t@mail:port",
        ] {
            let error = SmtpUrl::parse(text).unwrap_err();
            assert!(matches!(error, InvalidSmtpUrl::NotAUrl(_)), "{text}: {error}");
            assert!(!format!("{error} {error:?}").contains("s3"), "{error}");
        }
    }

    #[test]
    fn debug_shows_neither_user_nor_password() {
        let url = SmtpUrl::parse("smtps://wh0:s3cr3t@mail.example.com").unwrap();
        let shown = format!("{url:?}");
        assert!(!shown.contains("wh0") && !shown.contains("s3cr3t"), "{shown}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_its_password(password in "[a-z0-9]{12}", rest in "\\PC{0,30}") {
            for text in [format!("smtp://u:{password}@{rest}"), format!("{rest}{password}"), format!("smtps://{password}{rest}")] {
                if let Err(error) = SmtpUrl::parse(&text) {
                    let shown = format!("{error} {error:?}");
                    prop_assert!(!shown.contains(&password), "{}", shown);
                }
            }
        }
    }
}
