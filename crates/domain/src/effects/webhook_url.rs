//! Where webhooks may be sent: what can be told from the address itself, before any name is looked up.

use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

use crate::effects::check_public;
use crate::failure::{Classified, ErrorClass};

/// The longest address of a webhook, in bytes.
pub const MAX_WEBHOOK_URL: usize = 2048;

/// Names that mean a place inside a network, with everything below them.
const INNER_NAMES: [&str; 4] = ["localhost", "local", "internal", "home.arpa"];

/// An address webhooks may be sent to. It may hold a token, so its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(Url);

/// Which networks webhooks are sent into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookNetwork {
    /// Over TLS to addresses of the public internet.
    Public,
    /// Anywhere, also without TLS: for development, and where everybody who may name an address is trusted.
    Any,
}

/// An address that nothing is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a webhook is not sent there: {reason}; allowed is {allowed}")]
pub struct ForbiddenUrl {
    /// What is wrong with it, without repeating it.
    pub reason: &'static str,
    /// What is allowed instead.
    pub allowed: &'static str,
}

impl ForbiddenUrl {
    /// The stable code.
    pub const CODE: &str = "url.forbidden";

    /// Forbidden for this reason, where `network` says what is allowed.
    pub const fn new(reason: &'static str, network: WebhookNetwork) -> Self {
        let allowed = match network {
            WebhookNetwork::Public => {
                "an https:// address of a public host, on port 443, 80 or from 1024 on, with at most 2048 bytes of ASCII"
            }
            WebhookNetwork::Any => {
                "an http:// or https:// address, on port 443, 80 or from 1024 on, with at most 2048 bytes of ASCII"
            }
        };
        Self { reason, allowed }
    }
}

impl Classified for ForbiddenUrl {
    fn class(&self) -> ErrorClass {
        ErrorClass::Permanent
    }

    fn code(&self) -> &'static str {
        Self::CODE
    }
}

impl WebhookUrl {
    /// Takes an address from outside. What its host's name leads to is looked up when it is sent to, and checked again.
    ///
    /// # Errors
    /// [`ForbiddenUrl`] with the reason and what is allowed.
    pub fn parse(text: &str, network: WebhookNetwork) -> Result<Self, ForbiddenUrl> {
        checked(text, network)
            .map(Self)
            .map_err(|reason| ForbiddenUrl::new(reason, network))
    }

    /// `Ok` when it is allowed in `network` too.
    ///
    /// # Errors
    /// [`ForbiddenUrl`].
    pub fn check(&self, network: WebhookNetwork) -> Result<(), ForbiddenUrl> {
        Self::parse(self.as_str(), network).map(|_| ())
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The parts of it.
    pub const fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("‹webhook url›")
    }
}

fn checked(text: &str, network: WebhookNetwork) -> Result<Url, &'static str> {
    if text.len() > MAX_WEBHOOK_URL {
        return Err("it is longer than 2048 bytes");
    }
    // The parser drops some of these without a word, and turns other letters into those of another host.
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("it has spaces, control characters or letters outside ASCII; write such a host as xn--…");
    }
    if text.contains('\\') {
        return Err("it has a backslash, which some read as a slash");
    }
    let url = Url::parse(text).map_err(|_| "it is no URL")?;
    // What is kept has escapes for some letters, and must be taken again.
    if url.as_str().len() > MAX_WEBHOOK_URL {
        return Err("it is longer than 2048 bytes");
    }
    match (url.scheme(), network) {
        ("https", _) | ("http", WebhookNetwork::Any) => {}
        ("http", WebhookNetwork::Public) => return Err("it has no TLS"),
        _ => return Err("its scheme is not https"),
    }
    let authority = authority_of(text).ok_or("it is no URL")?;
    if authority.contains('@') {
        return Err("it names a user; put a token into the path instead");
    }
    if url.fragment().is_some() {
        return Err("it has a fragment, which is never sent");
    }
    match url.port_or_known_default() {
        Some(80 | 443 | 1024..) => {}
        _ => return Err("its port belongs to another service"),
    }
    check_host(&url, authority, network)?;
    Ok(url)
}

/// What stands between the slashes, as it was written.
fn authority_of(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    rest.split(['/', '?', '#']).next()
}

fn check_host(url: &Url, authority: &str, network: WebhookNetwork) -> Result<(), &'static str> {
    match url.host() {
        Some(Host::Ipv6(address)) => check_address(IpAddr::V6(address), network),
        Some(Host::Ipv4(address)) => {
            // 2130706433, 0x7f.1 and 0177.0.0.1 are the same address to some readers and none to others.
            if host_of(authority) != address.to_string() {
                return Err("its host is an IPv4 address in an unusual form");
            }
            check_address(IpAddr::V4(address), network)
        }
        Some(Host::Domain(name)) => {
            if !host_of(authority).eq_ignore_ascii_case(name) {
                return Err("its host is written in escapes");
            }
            check_name(name, network)
        }
        None => Err("it names no host"),
    }
}

fn host_of(authority: &str) -> &str {
    authority.split_once(':').map_or(authority, |(host, _)| host)
}

fn check_address(address: IpAddr, network: WebhookNetwork) -> Result<(), &'static str> {
    match network {
        WebhookNetwork::Any => Ok(()),
        WebhookNetwork::Public => check_public(address).map_err(|_| "its address is not on the public internet"),
    }
}

fn check_name(name: &str, network: WebhookNetwork) -> Result<(), &'static str> {
    let label_fits = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    // Also a dot at the end: it names the same host in another way than a certificate does.
    if name.len() > 253 || !name.split('.').all(label_fits) {
        return Err("its host is no host name");
    }
    if network == WebhookNetwork::Any {
        return Ok(());
    }
    // No top-level domain begins with a digit, and what does is an address to somebody.
    if name
        .rsplit('.')
        .next()
        .is_some_and(|last| last.starts_with(|first: char| first.is_ascii_digit()))
    {
        return Err("its host is no host name");
    }
    let is_below = |inner: &str| {
        name.strip_suffix(inner)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    if !name.contains('.') || INNER_NAMES.into_iter().any(is_below) {
        return Err("its host is a name inside a network");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
