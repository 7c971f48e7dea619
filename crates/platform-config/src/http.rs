//! `HTTP_ADDR`: where the process answers.

use crate::{
    key::{Form, Key, Preset},
    reading::Reading,
};
use std::net::{Ipv4Addr, SocketAddr};

pub(crate) static KEYS: [Key; 1] = [Key::new(
    "http_addr",
    Form::Described("an IP address and a port, such as 127.0.0.1:9090 or [::]:9090"),
    Preset::Value("127.0.0.1:9090"),
    "The address of the API, the console, /health, /ready, /metrics and /admin/v1. Port 0 takes any free port.",
)
.variable("HTTP_ADDR")];

pub(crate) fn read(reading: &mut Reading<'_>) -> SocketAddr {
    let [key] = &KEYS;
    reading
        .parsed(key, parse, SocketAddr::to_string)
        .unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
}

fn parse(text: &str) -> Result<SocketAddr, String> {
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    numeric
        .as_deref()
        .unwrap_or(text)
        .parse()
        .map_err(|_| "is not an address".to_owned())
}
