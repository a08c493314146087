//! `[access]`: who may use the proxy port.

use super::address::parse_network;
use super::check::Check;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// `[access]` as written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AccessConfig {
    /// Networks of clients.
    pub(crate) allow: Vec<String>,
}

/// `[access]`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccessSettings {
    /// Networks of clients; empty: everyone who can reach the listener.
    pub(crate) allow: Vec<IpNet>,
}

impl AccessConfig {
    /// Checks every key.
    pub(super) fn check(&self, check: &mut Check<'_>) -> AccessSettings {
        let allow = check
            .section("access")
            .each("allow", &self.allow, parse_network);
        AccessSettings { allow }
    }
}

impl AccessSettings {
    /// Whether a client of this address is served. IPv4 that arrives on an IPv6 listener counts as IPv4.
    pub(crate) fn allows(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        self.allow.is_empty() || self.allow.iter().any(|network| network.contains(&client))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_allowed_by_network() {
        let everyone = AccessSettings { allow: Vec::new() };
        let some = AccessSettings {
            allow: vec![
                "10.0.0.0/8".parse().unwrap(),
                "2001:db8::/32".parse().unwrap(),
            ],
        };
        let check = |client: &str, allowed: bool| {
            let client: IpAddr = client.parse().unwrap();
            assert!(everyone.allows(client), "{client} by everyone");
            assert_eq!(some.allows(client), allowed, "{client}");
        };
        check("10.1.2.3", true);
        check("11.1.2.3", false);
        check("::ffff:10.1.2.3", true);
        check("::ffff:11.1.2.3", false);
        check("2001:db8::1", true);
        check("2001:db9::1", false);
    }
}
