//! Addresses that a process can give up and get back.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::sync::atomic::{AtomicU16, Ordering};

/// Ports that no system hands out by itself, and no server of these tests takes: none is taken while its process is down.
const PORTS: Range<u16> = 10_000..15_000;

/// An address of the loopback interface that nobody listens on, nor gets from the system while nobody does.
pub fn stable_address() -> SocketAddr {
    static ASKED: AtomicU16 = AtomicU16::new(0);
    // Tests that run at the same time begin to look at places of their own.
    let own = u64::from(std::process::id()) * 31 + u64::from(ASKED.fetch_add(1, Ordering::Relaxed)) * 97;
    let start = PORTS.start + u16::try_from(own % u64::from(PORTS.end - PORTS.start)).unwrap();
    (start..PORTS.end)
        .chain(PORTS.start..start)
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .find(|address| TcpListener::bind(address).is_ok())
        .unwrap()
}
