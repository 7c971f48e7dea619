//! The URL of a PostgreSQL server: checked here, so that a driver need not guess what was meant.

use crate::{
    host::{is_host_character, is_loopback},
    login::check_login,
    reading::REDACTED,
};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};
use std::fmt;
use url::{Host, Url};

/// The URL of a PostgreSQL server, complete and checked. `Debug` and `Display` leave the password out.
#[derive(Clone)]
pub struct PostgresUrl {
    url: SecretString,
    ssl_mode: SslMode,
    host: String,
    shown: String,
    ignored: Vec<&'static str>,
}

/// How a connection to PostgreSQL is protected: the `sslmode` of its URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    /// Plain text.
    Disable,
    /// Plain text, unless the server insists on TLS.
    Allow,
    /// TLS if the server offers it, otherwise plain text. The default on this machine.
    Prefer,
    /// TLS, whoever answers.
    Require,
    /// TLS with a certificate that a trusted authority signed, for whatever host.
    VerifyCa,
    /// TLS with a certificate that a trusted authority signed for this host. The default to other machines.
    VerifyFull,
}

/// How the URL of a server is written.
pub(crate) const ACCEPTED: &str =
    "postgres://user:password@host:port/database with special characters of user and password percent-encoded";

/// Parameters that other clients know. They do no harm here, and an application's own pool may need them.
const IGNORED: [&str; 13] = [
    "channel_binding",
    "connect_timeout",
    "connection_limit",
    "gssencmode",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "pgbouncer",
    "pool_timeout",
    "schema",
    "sslnegotiation",
    "target_session_attrs",
];

const DEFAULT_PORT: u16 = 5432;

impl PostgresUrl {
    /// The whole URL with its password. It always says `sslmode`, so that nothing outside it decides about TLS.
    pub const fn secret(&self) -> &SecretString {
        &self.url
    }

    /// How the connection is protected: what the URL says, otherwise verify-full to other machines and prefer on this.
    pub const fn ssl_mode(&self) -> SslMode {
        self.ssl_mode
    }

    /// A host name, an IP address without brackets, or the folder of a Unix socket.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// What works but should be changed.
    pub(crate) fn warnings(&self, key: &str) -> Vec<String> {
        let mut warnings: Vec<String> = self
            .ignored
            .iter()
            .map(|parameter| format!("{key}: its parameter {parameter} has no effect here"))
            .collect();
        let risk = match self.ssl_mode {
            _ if is_local(&self.host) => None,
            SslMode::Disable => Some("without TLS, where everybody on the way can read and change them"),
            SslMode::Allow | SslMode::Prefer => Some("without TLS whenever somebody on the way wants it so"),
            SslMode::Require => Some("over TLS without knowing who answers"),
            SslMode::VerifyCa | SslMode::VerifyFull => None,
        };
        warnings.extend(risk.map(|risk| {
            format!(
                "{key}: the password and all data go to {} {risk}; sslmode=verify-full closes it",
                self.host
            )
        }));
        warnings
    }
}

impl PartialEq for PostgresUrl {
    fn eq(&self, other: &Self) -> bool {
        self.url.expose_secret() == other.url.expose_secret()
    }
}

impl Eq for PostgresUrl {}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({self})")
    }
}

impl SslMode {
    const ALL: [Self; 6] = [
        Self::Disable,
        Self::Allow,
        Self::Prefer,
        Self::Require,
        Self::VerifyCa,
        Self::VerifyFull,
    ];

    /// As it is written in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }

    /// Whether the connection may end up in plain text.
    const fn allows_plain_text(self) -> bool {
        match self {
            Self::Disable | Self::Allow | Self::Prefer => true,
            Self::Require | Self::VerifyCa | Self::VerifyFull => false,
        }
    }
}

/// A URL that is right in itself; whether its protection is enough depends on another key.
#[derive(Clone)]
pub(crate) struct GivenUrl {
    /// Without the parameters that are ignored, and without `sslmode`.
    url: Url,
    host: String,
    ssl_mode: Option<SslMode>,
    ignored: Vec<&'static str>,
}

impl GivenUrl {
    /// The URL with the protection that holds.
    ///
    /// # Errors
    /// It asks for less protection than is allowed.
    pub(crate) fn secured(self, insecure_plain_text: bool) -> Result<PostgresUrl, String> {
        let local = is_local(&self.host);
        let ssl_mode = match self.ssl_mode {
            Some(mode) if mode.allows_plain_text() && !local && !insecure_plain_text => {
                return Err(format!(
                    "sslmode={} may send the password and all data to another machine in plain text; leave it out, or \
                     set AFTERCOMMIT_POSTGRES__INSECURE_PLAIN_TEXT=true where the network is trusted that much",
                    mode.as_str()
                ));
            }
            Some(mode) => mode,
            None if local || insecure_plain_text => SslMode::Prefer,
            None => SslMode::VerifyFull,
        };
        let shown = self.shown();
        let mut url = self.url;
        url.query_pairs_mut().append_pair("sslmode", ssl_mode.as_str());
        Ok(PostgresUrl {
            url: String::from(url).into(),
            ssl_mode,
            host: self.host,
            shown,
            ignored: self.ignored,
        })
    }

    /// The URL without its password.
    pub(crate) fn shown(&self) -> String {
        let login = match (self.url.username(), self.url.password()) {
            ("", _) => String::new(),
            (user, None) => format!("{user}@"),
            (user, Some(_)) => format!("{user}:{REDACTED}@"),
        };
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.replace('/', "%2F")
        };
        let port = self.url.port().unwrap_or(DEFAULT_PORT);
        let parameter = self
            .ssl_mode
            .map_or_else(String::new, |mode| format!("?sslmode={}", mode.as_str()));
        format!("postgres://{login}{host}:{port}{}{parameter}", self.url.path())
    }
}

fn is_local(host: &str) -> bool {
    host.starts_with('/') || is_loopback(host)
}

/// Reads the URL of a server. What is wrong is said without repeating the text.
pub(crate) fn parse(text: &str) -> Result<GivenUrl, String> {
    let scheme_and_rest = text.split_once("://");
    let Some((scheme, rest)) = scheme_and_rest else {
        return Err("names no server".to_owned());
    };
    if !matches!(scheme.to_ascii_lowercase().as_str(), "postgres" | "postgresql") {
        return Err("has a scheme other than postgres".to_owned());
    }
    check_login(rest)?;
    // The parser's own messages never repeat the text.
    let mut url = Url::parse(text).map_err(|error| format!("is not a URL ({error})"))?;
    if url.port() == Some(0) {
        return Err("port 0 is not a server's port".to_owned());
    }
    if url.fragment().is_some() {
        return Err("has a `#` after the database".to_owned());
    }
    check_database(url.path())?;
    let mut ssl_mode = None;
    let mut ignored = Vec::new();
    let mut socket = None;
    let mut kept = Vec::new();
    for (name, value) in url.query_pairs() {
        match name.as_ref() {
            "sslmode" | "ssl-mode" => ssl_mode = Some(parse_ssl_mode(&value)?),
            "host" => socket = Some(value.clone().into_owned()),
            "application_name" | "options" | "sslcert" | "sslkey" | "sslrootcert" | "statement-cache-capacity" => {}
            other => match IGNORED.iter().find(|known| **known == other) {
                Some(known) => ignored.push(*known),
                None => return Err("has a parameter that is not known".to_owned()),
            },
        }
        if !matches!(name.as_ref(), "sslmode" | "ssl-mode") && !IGNORED.contains(&name.as_ref()) {
            kept.push((name.into_owned(), value.into_owned()));
        }
    }
    let host = parse_host(&url, socket)?;
    url.set_query(None);
    if !kept.is_empty() {
        url.query_pairs_mut().extend_pairs(kept);
    }
    Ok(GivenUrl {
        url,
        host,
        ssl_mode,
        ignored,
    })
}

fn check_database(path: &str) -> Result<(), String> {
    let name = path.strip_prefix('/').unwrap_or(path);
    if name.is_empty() {
        return Err("names no database".to_owned());
    }
    if name.contains('/') {
        return Err("has something after the database".to_owned());
    }
    match percent_decode_str(name).decode_utf8() {
        Ok(name) if !name.chars().any(char::is_control) => Ok(()),
        Ok(_) | Err(_) => Err("names a database with characters that no name has".to_owned()),
    }
}

fn parse_ssl_mode(text: &str) -> Result<SslMode, String> {
    let found = SslMode::ALL.into_iter().find(|mode| mode.as_str() == text);
    found.ok_or_else(|| {
        let known = SslMode::ALL.map(SslMode::as_str).join(", ");
        format!("has an sslmode that is none of {known}")
    })
}

/// `socket` is the parameter `host`, which may only name the folder of a socket, and only alone.
fn parse_host(url: &Url, socket: Option<String>) -> Result<String, String> {
    let host = match url.host() {
        Some(Host::Domain(name)) => percent_decode_str(name)
            .decode_utf8()
            .map_err(|_| "has a host that is not UTF-8".to_owned())?
            .into_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        None => String::new(),
    };
    let is_folder = |host: &str| host.starts_with('/') && !host.chars().any(char::is_control);
    match (host.as_str(), socket) {
        ("", None) => Err("names no host".to_owned()),
        ("", Some(folder)) if is_folder(&folder) => Ok(folder),
        ("", Some(_)) => Err("has a parameter host that is not the folder of a socket".to_owned()),
        (_, Some(_)) => Err("names its host twice".to_owned()),
        (name, None) if name.contains(',') => {
            Err("names several hosts, but one of them must be the primary".to_owned())
        }
        (name, None)
            if is_folder(name)
                || matches!(url.host(), Some(Host::Ipv6(_)))
                || !name.contains(|c| !is_host_character(c)) =>
        {
            Ok(host)
        }
        (_, None) => Err("has a host with characters that no host name has".to_owned()),
    }
}
