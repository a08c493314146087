//! Addresses to listen on and networks, as people write them.
//!
//! Deliberately no names: what a name means may change after it was checked, an address does not.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Reads `127.0.0.1:8080`, `[::1]:8080`, or `:8080` for every address of this machine.
///
/// `:8080` is the IPv6 wildcard, which on Linux takes IPv4 connections as well.
///
/// # Errors
/// What would be right.
pub(super) fn parse_listener(text: &str) -> Result<SocketAddr, &'static str> {
    const RIGHT: &str = "not an address to listen on; write IP:PORT, like \"127.0.0.1:8080\" or \
                         \"[::1]:8080\", or \":8080\" for all addresses";
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let port = text.strip_prefix(':').ok_or(RIGHT)?;
    let port = parse_port(port).ok_or(RIGHT)?;
    Ok(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port))
}

/// Digits only: the standard library would also take a sign.
fn parse_port(text: &str) -> Option<u16> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

/// Reads `10.0.0.0/8`, `2001:db8::/32`, or a bare address for just that one. Bits behind the prefix are dropped.
///
/// # Errors
/// What would be right.
pub(super) fn parse_network(text: &str) -> Result<IpNet, &'static str> {
    let network = match text.parse::<IpNet>() {
        Ok(network) => network.trunc(),
        Err(_) => text.parse::<IpAddr>().map(IpNet::from).map_err(|_| {
            "not a network; write ADDRESS/PREFIX, like \"10.0.0.0/8\" or \"2001:db8::/32\", \
             or a single address"
        })?,
    };
    match network {
        IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some() => {
            Err("an IPv4 network in IPv6 clothes; write the IPv4 network itself")
        }
        network => Ok(network),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_addresses_with_a_port() {
        let check = |text: &str, expected: Option<&str>| {
            let address = parse_listener(text).ok().map(|address| address.to_string());
            assert_eq!(address.as_deref(), expected, "{text:?}");
        };
        check("127.0.0.1:8080", Some("127.0.0.1:8080"));
        check("0.0.0.0:0", Some("0.0.0.0:0"));
        check("[::1]:8080", Some("[::1]:8080"));
        check(":8080", Some("[::]:8080"));
        for wrong in [
            "",
            ":",
            "8080",
            "127.0.0.1",
            "localhost:8080",
            ":65536",
            ":+80",
            "::1:8080",
            " :80",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn networks_are_prefixes_or_single_addresses() {
        let check = |text: &str, expected: Option<&str>| {
            let network = parse_network(text).ok().map(|network| network.to_string());
            assert_eq!(network.as_deref(), expected, "{text:?}");
        };
        check("10.0.0.0/8", Some("10.0.0.0/8"));
        check("10.1.2.3/8", Some("10.0.0.0/8"));
        check("192.0.2.7", Some("192.0.2.7/32"));
        check("2001:db8::/32", Some("2001:db8::/32"));
        check("::1", Some("::1/128"));
        for wrong in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "example.org",
            "::ffff:10.0.0.0/104",
            "10.0.0.0-10.0.0.9",
        ] {
            check(wrong, None);
        }
    }
}
