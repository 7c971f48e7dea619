//! `AMQP_URL`: the RabbitMQ server that carries tasks, checked here so that a client need not guess what was meant.

use crate::{
    database::DatabaseUrl,
    host::{is_host_character, is_loopback},
    key::{Form, Key, Preset},
    login::{check_login, is_percent_encoded},
    reading::{REDACTED, Reading},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use secrecy::SecretString;
use std::fmt;
use url::{Host, Url};

/// The RabbitMQ server that carries tasks. `Debug` and `Display` leave the password out.
#[derive(Debug, Clone)]
pub struct AmqpServer {
    /// A host name or an IP address, without brackets.
    pub host: String,
    /// Defaults to 5671 with TLS, otherwise 5672.
    pub port: u16,
    /// The virtual host. Defaults to `/`, which a URL may also write as an empty path or as `/%2F`.
    pub vhost: String,
    /// Who logs in. On this machine it defaults to `guest`, as the broker's own default does.
    pub user: String,
    /// The user's password. On this machine it defaults to `guest`, together with the user.
    pub password: SecretString,
    /// How the connection is protected.
    pub security: AmqpSecurity,
}

/// How a connection to RabbitMQ is protected. It never falls back to a weaker way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmqpSecurity {
    /// `amqps://`: TLS from the first byte, with a certificate that a trusted authority signed for this host.
    Tls,
    /// `amqp://` to this machine: nothing.
    PlainLoopback,
    /// `amqp://…?tls=insecure-plain-text` to another machine: nothing, and everybody on the way can read and change it.
    InsecurePlainText,
}

pub(crate) static KEYS: [Key; 1] = [Key::new(
    "amqp_url",
    Form::Described(
        "amqps://user:password@host:port/vhost, amqp://127.0.0.1:port/vhost for a server on this machine, or \
         amqp://user:password@host:port/vhost?tls=insecure-plain-text where the network is trusted that much, with \
         special characters of user, password and vhost percent-encoded",
    ),
    Preset::Unset("the queue is in the database"),
    "The RabbitMQ server that carries tasks. Without a path, or with /, the vhost is /. Needs a postgres: DATABASE_URL.",
)
.variable("AMQP_URL")
.secret()];

const INSECURE_PLAIN_TEXT: &str = "tls=insecure-plain-text";
/// The broker's own default, for the vhost.
const DEFAULT_VHOST: &str = "/";
/// The broker's own default, for the user and the password.
const DEFAULT_LOGIN: &str = "guest";
/// The protocol counts its bytes in one.
const LONGEST_VHOST: usize = 255;
/// What needs no encoding in a path.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl AmqpServer {
    /// `None` when nothing is given, or nothing that can be used.
    pub(crate) fn read(reading: &mut Reading<'_>, database: Option<&DatabaseUrl>) -> Option<Self> {
        let [key] = &KEYS;
        let server = reading.parsed(key, parse, Self::to_string)?;
        if DatabaseUrl::is_certainly_no_server(database, reading) {
            reading.refuse_expecting(
                key,
                "is given, but the queue on RabbitMQ needs a postgres: DATABASE_URL",
                "DATABASE_URL=postgres://user:password@host:port/database beside it, or it to be unset",
            );
        }
        Some(server)
    }

    /// Whether a URL is given, right or wrong.
    pub(crate) fn is_given(reading: &Reading<'_>) -> bool {
        let [key] = &KEYS;
        reading.is_given(key)
    }

    /// What works but should be changed.
    pub(crate) fn warning(&self) -> Option<String> {
        (self.security == AmqpSecurity::InsecurePlainText).then(|| {
            format!(
                "AMQP_URL: the password and all tasks go to {} without TLS, where everybody on the way can read and \
                 change them; amqps:// closes it",
                self.host,
            )
        })
    }
}

impl fmt::Display for AmqpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, parameter) = match self.security {
            AmqpSecurity::Tls => ("amqps", String::new()),
            AmqpSecurity::PlainLoopback => ("amqp", String::new()),
            AmqpSecurity::InsecurePlainText => ("amqp", format!("?{INSECURE_PLAIN_TEXT}")),
        };
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        let vhost = utf8_percent_encode(&self.vhost, ENCODED);
        write!(f, "{scheme}://{REDACTED}@{host}:{}/{vhost}{parameter}", self.port)
    }
}

/// Reads the URL of a server. What is wrong is said without repeating the text.
fn parse(text: &str) -> Result<AmqpServer, String> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err("is not the URL of a server".to_owned());
    };
    let has_tls = match scheme.to_ascii_lowercase().as_str() {
        "amqps" => true,
        "amqp" => false,
        _ => return Err("has a scheme other than amqp and amqps".to_owned()),
    };
    check_login(rest)?;
    // The parser's own messages never repeat the text.
    let url = Url::parse(text).map_err(|error| format!("is not a URL ({error})"))?;
    if url.fragment().is_some() {
        return Err("has a `#` after the vhost".to_owned());
    }
    let host = host(&url)?;
    let port = url.port().unwrap_or(if has_tls { 5671 } else { 5672 });
    if port == 0 {
        return Err("port 0 is not a server's port".to_owned());
    }
    let vhost = vhost(rest)?;
    let local = is_loopback(&host);
    let security = match (has_tls, url.query()) {
        (true, None) => AmqpSecurity::Tls,
        (true, Some(INSECURE_PLAIN_TEXT)) => return Err("asks for TLS and for plain text".to_owned()),
        (false, None | Some(INSECURE_PLAIN_TEXT)) if local => AmqpSecurity::PlainLoopback,
        (false, Some(INSECURE_PLAIN_TEXT)) => AmqpSecurity::InsecurePlainText,
        (false, None) => return Err("would send tasks and the password to another machine without TLS".to_owned()),
        (_, Some(_)) => {
            return Err(format!(
                "has a parameter other than {INSECURE_PLAIN_TEXT}; AFTERCOMMIT_AMQP__* sets everything else"
            ));
        }
    };
    let (user, password) = match (url.username(), url.password()) {
        ("", None) if local => (DEFAULT_LOGIN.to_owned(), DEFAULT_LOGIN.to_owned()),
        ("", _) => return Err("names no user".to_owned()),
        (_, None) => return Err("has a user without a password".to_owned()),
        (user, Some(password)) => (login_part(user)?, login_part(password)?),
    };
    Ok(AmqpServer {
        host,
        port,
        vhost,
        user,
        password: password.into(),
        security,
    })
}

fn host(url: &Url) -> Result<String, String> {
    match url.host() {
        Some(Host::Domain(name)) if name.contains(',') => Err("names several hosts, but one must do".to_owned()),
        Some(Host::Domain(name)) if name.contains(|character: char| !is_host_character(character)) => {
            Err("has a host with characters that no host name has".to_owned())
        }
        Some(Host::Domain(name)) if !name.is_empty() => Ok(name.to_owned()),
        Some(Host::Ipv4(address)) => Ok(address.to_string()),
        Some(Host::Ipv6(address)) => Ok(address.to_string()),
        Some(Host::Domain(_)) | None => Err("names no host".to_owned()),
    }
}

/// From what follows `scheme://` as it is written: the parser of URLs would take a vhost `..` for a folder.
fn vhost(rest: &str) -> Result<String, String> {
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let encoded = rest.split_once('/').map_or("", |(_, path)| path);
    if encoded.is_empty() {
        return Ok(DEFAULT_VHOST.to_owned());
    }
    if encoded.contains('/') {
        return Err("has something after the vhost; write %2F for a `/` in its name".to_owned());
    }
    if !is_percent_encoded(encoded) {
        return Err("has a `%` in its vhost that encodes nothing; write %25 instead".to_owned());
    }
    match percent_decode_str(encoded).decode_utf8() {
        Ok(vhost) if vhost.len() > LONGEST_VHOST => Err(format!("has a vhost of more than {LONGEST_VHOST} bytes")),
        Ok(vhost) if !vhost.chars().any(char::is_control) => Ok(vhost.into_owned()),
        Ok(_) | Err(_) => Err("names a vhost with characters that no name has".to_owned()),
    }
}

fn login_part(encoded: &str) -> Result<String, String> {
    let decoded = percent_decode_str(encoded).decode_utf8();
    decoded
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| "has a user or password that is not text".to_owned())
}
