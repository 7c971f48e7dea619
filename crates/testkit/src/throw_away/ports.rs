//! Ports for servers.

use std::net::{Ipv4Addr, TcpListener};

use super::secret::secret;
use super::trouble::{Outcome, Trouble};

/// Ports that no system hands out by itself, so that none is taken while a server is down.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// A port of the loopback interface that nobody listens on. Another process may take it meanwhile.
pub(crate) fn free_port() -> Outcome<u16> {
    let random = secret().map_err(Trouble::while_doing("cannot read /dev/urandom"))?;
    let first = u16::from_str_radix(&random[..4], 16).unwrap_or_default() % (PORTS.end - PORTS.start);
    let start = PORTS.start + first;
    (start..PORTS.end)
        .chain(PORTS.start..start)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .ok_or_else(|| Trouble::new(format!("no port between {} and {} is free", PORTS.start, PORTS.end)))
}
