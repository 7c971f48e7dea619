//! What the URLs of servers have in common.

use std::net::IpAddr;

pub(crate) fn is_host_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-._".contains(character)
}

/// A name other than `localhost` may resolve to anything, so only numbers count.
pub(crate) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
