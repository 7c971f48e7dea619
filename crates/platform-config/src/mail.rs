//! `SMTP_URL` and `MAIL_FROM`: how e-mails leave.

use crate::{
    data_dir::DataDir,
    host::{is_host_character, is_loopback},
    key::{Form, Key, Preset},
    reading::{REDACTED, Reading},
};
use secrecy::SecretString;
use std::path::PathBuf;
use url::{Host, Url};

/// Settings of outgoing e-mail.
#[derive(Debug)]
pub struct MailSettings {
    /// The server that takes e-mails; without one they become files in `dir`. Unset by default.
    pub smtp: Option<SmtpSettings>,
    /// The sender, `name <address>` or an address alone. Defaults to `Aftercommit <aftercommit@localhost>`.
    pub from: String,
    /// The folder of e-mails that are written to files: `mail` in the data directory.
    pub dir: PathBuf,
}

/// The server that takes e-mails.
#[derive(Debug, Clone)]
pub struct SmtpSettings {
    /// A host name or an IP address, without brackets.
    pub host: String,
    /// Defaults to 465 with TLS from the start, 587 with `?tls=required`, otherwise 25.
    pub port: u16,
    /// How the connection is protected.
    pub security: SmtpSecurity,
    /// Who logs in, if anybody does.
    pub credentials: Option<SmtpCredentials>,
}

/// How an SMTP connection is protected. It never falls back to a weaker way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// `smtps://`: TLS from the first byte.
    Tls,
    /// `smtp://…?tls=required`: STARTTLS before anything else, or the connection ends.
    StartTls,
    /// `smtp://` to this machine: nothing.
    PlainLoopback,
    /// `smtp://…?tls=insecure-plain-text` to another machine: nothing, and everybody on the way can read and change it.
    InsecurePlainText,
}

/// Who logs in at an SMTP server.
#[derive(Debug, Clone)]
pub struct SmtpCredentials {
    /// The user's name.
    pub username: String,
    /// The user's password.
    pub password: SecretString,
}

pub(crate) static KEYS: [Key; 2] = [
    Key::new(
        "smtp_url",
        Form::Described(
            "smtps://user:password@host:port, smtp://host:port?tls=required, smtp://127.0.0.1:port for a server on this \
             machine, or smtp://host:port?tls=insecure-plain-text where the network is trusted that much, with special \
             characters of user and password percent-encoded",
        ),
        Preset::Unset("e-mails become files in <data directory>/mail"),
        "The server that takes e-mails.",
    )
    .variable("SMTP_URL")
    .secret(),
    Key::new(
        "mail_from",
        Form::Described("an address, or a name and an address such as Acme <no-reply@acme.example>"),
        Preset::Value("Aftercommit <aftercommit@localhost>"),
        "The sender of e-mails. It must be given when SMTP_URL names another machine.",
    )
    .variable("MAIL_FROM"),
];

const TLS_REQUIRED: &str = "tls=required";
const INSECURE_PLAIN_TEXT: &str = "tls=insecure-plain-text";

impl MailSettings {
    /// What works but should be changed.
    pub(crate) fn warning(&self) -> Option<String> {
        let smtp = self.smtp.as_ref()?;
        (smtp.security == SmtpSecurity::InsecurePlainText).then(|| {
            format!(
                "SMTP_URL: e-mails{} go to {} without TLS, where everybody on the way can read and change them; \
                 smtps:// or {TLS_REQUIRED} closes it",
                if smtp.credentials.is_some() {
                    " and the password"
                } else {
                    ""
                },
                smtp.host,
            )
        })
    }

    pub(crate) fn read(reading: &mut Reading<'_>, data_dir: &DataDir) -> Self {
        let [smtp_url, mail_from] = &KEYS;
        let smtp = reading.parsed(smtp_url, parse_smtp, shown);
        let from = reading.parsed(
            mail_from,
            |text| check_sender(text).map(|()| text.to_owned()),
            String::clone,
        );
        if smtp.as_ref().is_some_and(|smtp| !is_loopback(&smtp.host)) && !reading.is_given(mail_from) {
            reading.refuse("", mail_from, "is missing, and SMTP_URL names another machine");
        }
        Self {
            smtp,
            from: from.unwrap_or_default(),
            dir: data_dir.mail_dir(),
        }
    }
}

fn parse_smtp(text: &str) -> Result<SmtpSettings, String> {
    // The parser's own messages never repeat the text.
    let url = Url::parse(text).map_err(|error| format!("is not a URL ({error})"))?;
    let host = match url.host() {
        Some(Host::Domain(name)) if name.contains(|character: char| !is_host_character(character)) => {
            return Err("has a host with characters that no host name has".to_owned());
        }
        Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        Some(Host::Domain(_)) | None => return Err("names no host".to_owned()),
    };
    if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
        return Err("has something after host and port".to_owned());
    }
    let (security, port) = match (url.scheme(), url.query()) {
        ("smtps", None | Some(TLS_REQUIRED)) => (SmtpSecurity::Tls, 465),
        ("smtp", Some(TLS_REQUIRED)) => (SmtpSecurity::StartTls, 587),
        ("smtp", None | Some(INSECURE_PLAIN_TEXT)) if is_loopback(&host) => (SmtpSecurity::PlainLoopback, 25),
        ("smtp", Some(INSECURE_PLAIN_TEXT)) => (SmtpSecurity::InsecurePlainText, 25),
        ("smtp", None) => return Err("would send e-mails and passwords to another machine without TLS".to_owned()),
        ("smtps", Some(INSECURE_PLAIN_TEXT)) => return Err("asks for TLS and for plain text".to_owned()),
        ("smtp" | "smtps", Some(_)) => {
            return Err(format!(
                "has a parameter other than {TLS_REQUIRED} and {INSECURE_PLAIN_TEXT}"
            ));
        }
        _ => return Err("has a scheme other than smtp and smtps".to_owned()),
    };
    let port = url.port().unwrap_or(port);
    if port == 0 {
        return Err("port 0 is not a server's port".to_owned());
    }
    Ok(SmtpSettings {
        host,
        port,
        security,
        credentials: credentials(&url)?,
    })
}

fn credentials(url: &Url) -> Result<Option<SmtpCredentials>, String> {
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        ("", Some(_)) => Err("has a password without a user".to_owned()),
        (_, None) => Err("has a user without a password".to_owned()),
        (username, Some(password)) => Ok(Some(SmtpCredentials {
            username: decoded(username)?,
            password: decoded(password)?.into(),
        })),
    }
}

fn decoded(text: &str) -> Result<String, String> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    decoded
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| "has a user or password that is not UTF-8".to_owned())
}

fn shown(smtp: &SmtpSettings) -> String {
    let SmtpSettings {
        host,
        port,
        security,
        credentials,
    } = smtp;
    let (scheme, parameter) = match security {
        SmtpSecurity::Tls => ("smtps", String::new()),
        SmtpSecurity::StartTls => ("smtp", format!("?{TLS_REQUIRED}")),
        SmtpSecurity::PlainLoopback => ("smtp", String::new()),
        SmtpSecurity::InsecurePlainText => ("smtp", format!("?{INSECURE_PLAIN_TEXT}")),
    };
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.clone()
    };
    let login = if credentials.is_some() {
        format!("{REDACTED}@")
    } else {
        String::new()
    };
    format!("{scheme}://{login}{host}:{port}{parameter}")
}

fn check_sender(text: &str) -> Result<(), String> {
    let (name, address) = match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
        Some((name, address)) => (name.trim(), address),
        None => ("", text),
    };
    let quoted = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
    let forbidden: &[char] = if quoted.is_some() {
        &['"', '\\']
    } else {
        &['"', '\\', ',', ';', ':', '@', '<', '>', '(', ')', '[', ']']
    };
    if quoted.unwrap_or(name).contains(forbidden) {
        return Err("has a name with special characters that is not in double quotes".to_owned());
    }
    let is_part = |part: &str, longest: usize| {
        !part.is_empty()
            && part.len() <= longest
            && !part.contains(|character: char| character.is_whitespace() || "<>,;:@()[]\\\"".contains(character))
    };
    match address.rsplit_once('@') {
        Some((local, domain)) if is_part(local, 64) && is_part(domain, 255) => Ok(()),
        Some(_) | None => Err("is not an e-mail address".to_owned()),
    }
}
