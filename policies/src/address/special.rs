//! Special-purpose address space: the IANA registries (RFC 6890 and its successors), as kinds of refusal.
//!
//! IPv6 is judged by what is known to be public (2000::/3 and translated IPv4): unallocated space is refused.
//! Deliberately not configurable: exceptions are `allow_networks`.

use super::AddressRefusal::{self, LinkLocal, Loopback, Multicast, Private, Reserved};
use super::AddressRefusal::{SharedSpace, Unspecified};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where clouds answer requests for credentials and settings. Two of them lie in public space.
const METADATA: [IpAddr; 7] = [
    // AWS, GCP, Azure, OpenStack and most others
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    // AWS container credentials
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    // Alibaba Cloud
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    // Azure platform channel
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    // Oracle Cloud classic
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    // AWS
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    // GCP
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// Whether a cloud's metadata service answers here.
pub(super) fn is_metadata(address: IpAddr) -> bool {
    METADATA.contains(&address)
}

/// Why an address may not be connected to; `None` for a public one. An embedded IPv4 address is judged as well.
pub(super) fn refusal(address: IpAddr) -> Option<AddressRefusal> {
    if is_metadata(address) {
        return Some(LinkLocal);
    }
    match address {
        IpAddr::V4(address) => refusal_v4(address),
        IpAddr::V6(address) => match embedded_v4(IpAddr::V6(address)) {
            Some(inner) => refusal(IpAddr::V4(inner)).or_else(|| refusal_wrapper(address)),
            None => refusal_v6(address),
        },
    }
}

fn refusal_v4(address: Ipv4Addr) -> Option<AddressRefusal> {
    match address.octets() {
        [0, ..] => Some(Unspecified),
        [127, ..] => Some(Loopback),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Some(Private),
        [169, 254, ..] => Some(LinkLocal),
        [100, 64..=127, ..] => Some(SharedSpace),
        [224..=239, ..] | [255, 255, 255, 255] => Some(Multicast),
        // IETF protocols, documentation, the retired 6to4 relays, benchmarking, and class E.
        [192, 0, 0 | 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Some(Reserved),
        [192, 88, 99, _] | [198, 18 | 19, ..] | [240..=255, ..] => Some(Reserved),
        _ => None,
    }
}

fn refusal_v6(address: Ipv6Addr) -> Option<AddressRefusal> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some(Unspecified),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some(Loopback),
        // fec0::/10 was site-local before fc00::/7 replaced it.
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Some(Private),
        [0xfe80..=0xfebf, ..] => Some(LinkLocal),
        [0xff00..=0xffff, ..] => Some(Multicast),
        // 2001::/23 IETF protocols, then documentation.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Some(Reserved),
        [0x2000..=0x3fff, ..] => None,
        _ => Some(Reserved),
    }
}

/// What is wrong with an address whose embedded IPv4 address is public: 64:ff9b:1::/48 (RFC 8215) means whatever the
/// local network wants it to.
fn refusal_wrapper(address: Ipv6Addr) -> Option<AddressRefusal> {
    matches!(address.segments(), [0x64, 0xff9b, 1, ..]).then_some(Reserved)
}

/// The IPv4 address that a packet to `address` would end up at.
///
/// Mapped (RFC 4291 §2.5.5.2), compatible (§2.5.5.1), NAT64 (RFC 6052, RFC 8215 as a /96), 6to4 (RFC 3056) and Teredo
/// (RFC 4380 §4, where the client's address is stored inverted).
pub(super) fn embedded_v4(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else {
        return None;
    };
    let from = |high: u16, low: u16| Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match address.segments() {
        // `::` and `::1` look compatible and are not.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => from(high, low),
        // IPv4-translated, RFC 2765 §2.1.
        [0, 0, 0, 0, 0xffff, 0, high, low] => from(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 1, _, _, _, high, low] => {
            from(high, low)
        }
        [0x2002, high, low, ..] => from(high, low),
        [0x2001, 0, _, _, _, _, high, low] => from(!high, !low),
        _ => None,
    }
}
