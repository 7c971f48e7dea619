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

fn parse_public_url(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|_| "is not a URL".to_owned())?;
    let is_plain = url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !is_plain {
        return Err("is not such a URL".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn parse(text: &str) -> Result<SocketAddr, String> {
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    numeric
        .as_deref()
        .unwrap_or(text)
        .parse()
        .map_err(|_| "is not an address".to_owned())
}
