//! Addresses that a process can give up and get back.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;

use rand::RngExt as _;

/// Ports that no system hands out by itself, and no server of these tests takes: none is taken while its process is down.
const PORTS: Range<u16> = 10_000..15_000;

/// An address of the loopback interface that nobody listens on, nor gets from the system while nobody does.
pub fn stable_address() -> SocketAddr {
    let start = rand::rng().random_range(PORTS);
    (start..PORTS.end)
        .chain(PORTS.start..start)
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .find(|address| TcpListener::bind(address).is_ok())
        .unwrap()
}
