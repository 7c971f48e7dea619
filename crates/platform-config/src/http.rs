//! `HTTP_ADDR` and `AFTERCOMMIT_HTTP__*`: where the process answers, and how others reach it.

use crate::{
    key::{Form, Key, Preset},
    reading::Reading,
};
use std::net::{Ipv4Addr, SocketAddr};
use url::Url;

pub(crate) static KEYS: [Key; 2] = [
    Key::new(
        "http_addr",
        Form::Described("an IP address and a port, such as 127.0.0.1:9090 or [::]:9090"),
        Preset::Value("127.0.0.1:9090"),
        "The address of the API, the console, /health, /ready, /metrics and /admin/v1. Port 0 takes any free port.",
    )
    .variable("HTTP_ADDR"),
    Key::new(
        "http.public_url",
        Form::Described("http:// or https:// and a host, such as https://app.example.com"),
        Preset::Unset("http:// and HTTP_ADDR"),
        "Where people reach the product: the beginning of the links in e-mails.",
    ),
];

pub(crate) fn read(reading: &mut Reading<'_>) -> SocketAddr {
    let [key, _] = &KEYS;
    reading
        .parsed(key, parse, SocketAddr::to_string)
        .unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
}

pub(crate) fn read_public_url(reading: &mut Reading<'_>) -> Option<String> {
    let [_, key] = &KEYS;
    reading.parsed(key, parse_public_url, String::clone)
}

/// Answers the URL without the last slash, as links are made: `{public_url}/path`.
fn parse_public_url(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| format!("is not a URL ({error})"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("has a scheme other than http and https".to_owned());
    }
    // The link is in every e-mail, so a password in it would be everybody's.
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a user or a password".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has something after the path".to_owned());
    }
    if url.port() == Some(0) {
        return Err("port 0 is not a server's port".to_owned());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn parse(text: &str) -> Result<SocketAddr, String> {
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    numeric
        .as_deref()
        .unwrap_or(text)
        .parse()
        .map_err(|_| "is not an address".to_owned())
}
