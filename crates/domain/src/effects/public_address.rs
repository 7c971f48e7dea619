//! Which addresses are on the public internet: whoever sends where a customer says must not be led into a private network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address that is not on the public internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an address of {range} is not on the public internet")]
pub struct NotPublic {
    /// The range it belongs to, for people.
    pub range: &'static str,
}

/// `Ok` for an address of the public internet. What is special in any way is not: private, of this machine, of this link
/// (where clouds keep their metadata), shared by a carrier, multicast, reserved, and every IPv6 address that stands for an
/// IPv4 one, because which one is decided behind it.
///
/// The ranges are those of the IANA registries of special-purpose addresses.
///
/// # Errors
/// [`NotPublic`] names the range.
pub fn check_public(address: IpAddr) -> Result<(), NotPublic> {
    let range = match address {
        IpAddr::V4(address) => V4.iter().find(|range| range.has(address)).map(|range| range.name),
        IpAddr::V6(address) => v6(address),
    };
    range.map_or(Ok(()), |range| Err(NotPublic { range }))
}

struct Range<A> {
    first: A,
    bits: u32,
    name: &'static str,
}

impl Range<Ipv4Addr> {
    fn has(&self, address: Ipv4Addr) -> bool {
        (address.to_bits() ^ self.first.to_bits())
            .checked_shr(32 - self.bits)
            .unwrap_or_default()
            == 0
    }
}

impl Range<Ipv6Addr> {
    fn has(&self, address: Ipv6Addr) -> bool {
        (address.to_bits() ^ self.first.to_bits())
            .checked_shr(128 - self.bits)
            .unwrap_or_default()
            == 0
    }
}

const fn v4(a: u8, b: u8, c: u8, bits: u32, name: &'static str) -> Range<Ipv4Addr> {
    Range {
        first: Ipv4Addr::new(a, b, c, 0),
        bits,
        name,
    }
}

const V4: [Range<Ipv4Addr>; 15] = [
    v4(0, 0, 0, 8, "0.0.0.0/8 (this network)"),
    v4(10, 0, 0, 8, "10.0.0.0/8 (private)"),
    v4(100, 64, 0, 10, "100.64.0.0/10 (shared by a carrier)"),
    v4(127, 0, 0, 8, "127.0.0.0/8 (this machine)"),
    v4(169, 254, 0, 16, "169.254.0.0/16 (this link)"),
    v4(172, 16, 0, 12, "172.16.0.0/12 (private)"),
    v4(192, 0, 0, 24, "192.0.0.0/24 (protocols)"),
    v4(192, 0, 2, 24, "192.0.2.0/24 (documentation)"),
    v4(192, 88, 99, 24, "192.88.99.0/24 (6to4 relays)"),
    v4(192, 168, 0, 16, "192.168.0.0/16 (private)"),
    v4(198, 18, 0, 15, "198.18.0.0/15 (benchmarks)"),
    v4(198, 51, 100, 24, "198.51.100.0/24 (documentation)"),
    v4(203, 0, 113, 24, "203.0.113.0/24 (documentation)"),
    v4(224, 0, 0, 4, "224.0.0.0/4 (multicast)"),
    v4(240, 0, 0, 4, "240.0.0.0/4 (reserved)"),
];

const fn v6_range(a: u16, b: u16, bits: u32, name: &'static str) -> Range<Ipv6Addr> {
    Range {
        first: Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0),
        bits,
        name,
    }
}

/// Special ranges with a name of their own; what is in none of them and not in [`GLOBAL`] is not public either.
const V6: [Range<Ipv6Addr>; 10] = [
    v6_range(0x64, 0xff9b, 32, "64:ff9b::/32 (stands for an IPv4 address)"),
    v6_range(0x2001, 0, 23, "2001::/23 (protocols)"),
    v6_range(0x2001, 0xdb8, 32, "2001:db8::/32 (documentation)"),
    v6_range(0x2002, 0, 16, "2002::/16 (stands for an IPv4 address)"),
    v6_range(0x3fff, 0, 20, "3fff::/20 (documentation)"),
    v6_range(0x5f00, 0, 16, "5f00::/16 (segment routing)"),
    v6_range(0xfc00, 0, 7, "fc00::/7 (private)"),
    v6_range(0xfe80, 0, 10, "fe80::/10 (this link)"),
    v6_range(0xfec0, 0, 10, "fec0::/10 (this site)"),
    v6_range(0xff00, 0, 8, "ff00::/8 (multicast)"),
];

const GLOBAL: Range<Ipv6Addr> = v6_range(0x2000, 0, 3, "2000::/3");

fn v6(address: Ipv6Addr) -> Option<&'static str> {
    if address == Ipv6Addr::LOCALHOST {
        return Some("::1 (this machine)");
    }
    if address.to_ipv4().is_some() {
        return Some("::/96 or ::ffff:0:0/96 (stands for an IPv4 address)");
    }
    let special = V6.iter().find(|range| range.has(address)).map(|range| range.name);
    special.or_else(|| (!GLOBAL.has(address)).then_some("outside 2000::/3 (reserved)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_every_special_range_are_refused_from_their_first_to_their_last() {
        for (first, last) in [
            ("0.0.0.0", "0.255.255.255"),
            ("10.0.0.0", "10.255.255.255"),
            ("100.64.0.0", "100.127.255.255"),
            ("127.0.0.0", "127.255.255.255"),
            ("169.254.0.0", "169.254.255.255"),
            ("172.16.0.0", "172.31.255.255"),
            ("192.0.0.0", "192.0.0.255"),
            ("192.0.2.0", "192.0.2.255"),
            ("192.88.99.0", "192.88.99.255"),
            ("192.168.0.0", "192.168.255.255"),
            ("198.18.0.0", "198.19.255.255"),
            ("198.51.100.0", "198.51.100.255"),
            ("203.0.113.0", "203.0.113.255"),
            ("224.0.0.0", "239.255.255.255"),
            ("240.0.0.0", "255.255.255.255"),
            ("::", "::1"),
            ("::7f00:1", "::ffff:ffff"),
            ("::ffff:0.0.0.0", "::ffff:255.255.255.255"),
            ("::ffff:10.0.0.1", "::ffff:8.8.8.8"),
            ("64:ff9b::", "64:ff9b::808:808"),
            ("64:ff9b:1::", "64:ff9b:1::a00:1"),
            ("100::", "100::ffff:ffff:ffff:ffff"),
            ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2002:a00:1::", "2002:808:808::"),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("4000::", "5f00:ffff::"),
            ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fe80::", "febf:ffff::"),
            ("fec0::", "feff:ffff::"),
            ("ff00::", "ff02::1"),
        ] {
            for text in [first, last] {
                assert!(check_public(text.parse().unwrap()).is_err(), "{text}");
            }
        }
    }

    #[test]
    fn their_neighbours_are_public() {
        for text in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.88.98.255",
            "192.88.100.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::",
            "2001:db7::",
            "2001:db9::",
            "2003::",
            "2a00:1450::1",
            "3ffe:ffff::",
            "3fff:1000::",
        ] {
            assert_eq!(check_public(text.parse().unwrap()), Ok(()), "{text}");
        }
    }
}
