//! Which addresses Weir may connect to (SSRF guard).
//!
//! Invariant: a [`VettedAddr`] can only be obtained from [`Vetter::vet`], so a connection to an unjudged address
//! does not type-check. Embedded IPv4 (mapped, compatible, NAT64, 6to4, Teredo) is unwrapped before it is judged.

mod special;
#[cfg(test)]
mod tests;

use ipnet::IpNet;
use special::{embedded_v4, is_metadata, refusal};
use std::net::{IpAddr, SocketAddr};

/// An address that policy allows Weir to connect to. No public constructor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VettedAddr(SocketAddr);

impl VettedAddr {
    /// The socket address to connect to.
    #[must_use]
    pub fn get(self) -> SocketAddr {
        self.0
    }
}

/// Why an address is refused. A metric label and part of the 403 page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum AddressRefusal {
    /// 127/8, ::1
    #[error("loopback address")]
    Loopback,
    /// 0.0.0.0/8, ::
    #[error("unspecified address")]
    Unspecified,
    /// 10/8, 172.16/12, 192.168/16, fc00::/7
    #[error("private address")]
    Private,
    /// 169.254/16, fe80::/10 and the metadata services
    #[error("link-local or metadata address")]
    LinkLocal,
    /// 100.64/10
    #[error("carrier-grade NAT address")]
    SharedSpace,
    /// 224/4, ff00::/8, broadcast
    #[error("multicast or broadcast address")]
    Multicast,
    /// 240/4, documentation, benchmarking, discard and other special-purpose space
    #[error("reserved address")]
    Reserved,
    /// One of the gateway's own listeners.
    #[error("the gateway's own listener")]
    OwnListener,
}

/// Judges addresses. Public ones pass; others only when an allowed network holds them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vetter {
    /// `[upstream] allow_networks`: destination networks that would otherwise be refused. Compared with the address
    /// as given and with the IPv4 address embedded in it. A cloud's metadata service hands out credentials, so it is
    /// only reached when it is listed by itself (`/32`, `/128`), never as a part of a broader network.
    pub allowed: Vec<IpNet>,
    /// Own listeners: refused whatever `allowed` says (an unspecified IP stands for every local address on that port
    /// that is loopback or listed in `own_addresses`).
    pub own_listeners: Vec<SocketAddr>,
    /// Addresses of this machine's interfaces.
    pub own_addresses: Vec<IpAddr>,
}

/// Names under which clouds serve their metadata. The addresses behind them are refused as well; the names are
/// refused first so that a private name server that answers for them is not even asked.
const METADATA_NAMES: [&str; 5] = [
    "metadata.google.internal",
    "metadata.goog",
    "metadata.azure.internal",
    "instance-data",
    "instance-data.ec2.internal",
];

/// Whether a host, in normal form, is a cloud's metadata service by name.
#[must_use]
pub fn is_metadata_service(host: &str) -> bool {
    METADATA_NAMES.contains(&host)
}

impl Vetter {
    /// Judges one address.
    ///
    /// # Errors
    /// [`AddressRefusal`] names the kind of address.
    pub fn vet(&self, address: SocketAddr) -> Result<VettedAddr, AddressRefusal> {
        let given = address.ip();
        let meant = embedded_v4(given).map_or(given, IpAddr::V4);
        if self.is_own_listener(meant, address.port()) {
            return Err(AddressRefusal::OwnListener);
        }
        if self.allows(given, meant) {
            return Ok(VettedAddr(address));
        }
        match refusal(given) {
            Some(reason) => Err(reason),
            None => Ok(VettedAddr(address)),
        }
    }

    /// Whether a listed network holds the address in either reading.
    fn allows(&self, given: IpAddr, meant: IpAddr) -> bool {
        let alone = is_metadata(given) || is_metadata(meant);
        let fits = |network: &IpNet| !alone || network.prefix_len() == network.max_prefix_len();
        let mut fitting = self.allowed.iter().filter(|network| fits(network));
        fitting.any(|network| network.contains(&given) || network.contains(&meant))
    }

    /// `address` has been unwrapped; a listener may be written either way.
    fn is_own_listener(&self, address: IpAddr, port: u16) -> bool {
        let local = || {
            let unwrapped = |own: &IpAddr| embedded_v4(*own).map_or(*own, IpAddr::V4);
            address.is_loopback()
                || address.is_unspecified()
                || self
                    .own_addresses
                    .iter()
                    .any(|own| unwrapped(own) == address)
        };
        let mut listeners = self.own_listeners.iter().filter(|own| own.port() == port);
        listeners.any(|own| {
            let ip = embedded_v4(own.ip()).map_or(own.ip(), IpAddr::V4);
            // Connecting to 0.0.0.0 or :: reaches this machine, whichever address the listener has.
            ip == address || address.is_unspecified() || (ip.is_unspecified() && local())
        })
    }
}
