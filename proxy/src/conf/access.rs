//! `[access]`: who may use the proxy port, and who of them may purge.

use super::address::parse_network;
use super::check::Check;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use weir_policies::verdict::PurgeRight;

/// `[access]` as written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AccessConfig {
    /// Networks of clients.
    pub(crate) allow: Vec<String>,
    /// Networks of clients that may purge.
    pub(crate) purge: Vec<String>,
}

/// `[access]`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccessSettings {
    /// Networks of clients; empty: everyone who can reach the listener.
    pub(crate) allow: Vec<IpNet>,
    /// Networks of clients that may purge; empty: nobody, this host included.
    pub(crate) purge: Vec<IpNet>,
}

impl AccessConfig {
    /// Checks every key.
    pub(super) fn check(&self, check: &mut Check<'_>) -> AccessSettings {
        let mut section = check.section("access");
        AccessSettings {
            allow: section.each("allow", &self.allow, parse_network),
            purge: section.each("purge", &self.purge, parse_network),
        }
    }
}

impl AccessSettings {
    /// Whether a client of this address is served. IPv4 that arrives on an IPv6 listener counts as IPv4.
    pub(crate) fn allows(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        self.allow.is_empty() || self.allow.iter().any(|network| network.contains(&client))
    }

    /// Whether a client of this address may purge; as in [`Self::allows`], but nobody may where nobody is named.
    pub(crate) fn purging(&self, client: IpAddr) -> PurgeRight {
        let client = client.to_canonical();
        if self.purge.iter().any(|network| network.contains(&client)) {
            PurgeRight::Granted
        } else {
            PurgeRight::Denied
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_allowed_by_network() {
        let everyone = AccessSettings {
            allow: Vec::new(),
            purge: Vec::new(),
        };
        let some = AccessSettings {
            allow: vec![
                "10.0.0.0/8".parse().unwrap(),
                "2001:db8::/32".parse().unwrap(),
            ],
            purge: Vec::new(),
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

    #[test]
    fn only_clients_that_are_named_may_purge() {
        let settings = |purge: &[&str]| AccessSettings {
            allow: Vec::new(),
            purge: purge.iter().map(|text| text.parse().unwrap()).collect(),
        };
        let check = |purge: &[&str], client: &str, expected: PurgeRight| {
            let client = client.parse().unwrap();
            assert_eq!(
                settings(purge).purging(client),
                expected,
                "{purge:?} {client}"
            );
        };
        let (some, granted, denied) = (
            ["10.0.0.0/8", "::1/128"],
            PurgeRight::Granted,
            PurgeRight::Denied,
        );
        check(&[], "127.0.0.1", denied);
        check(&[], "::1", denied);
        check(&some, "127.0.0.1", denied);
        check(&some, "::1", granted);
        check(&some, "::ffff:10.1.2.3", granted);
        check(&some, "11.1.2.3", denied);
    }
}
