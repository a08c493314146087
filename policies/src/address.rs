//! Which addresses Weir may connect to (SSRF guard).
//!
//! Invariant: a [`VettedAddr`] can only be obtained from [`Vetter::vet`], so a connection to an unjudged address
//! does not type-check. Embedded IPv4 (mapped, compatible, NAT64, 6to4, Teredo) is unwrapped before it is judged.

use ipnet::IpNet;
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
#[derive(Debug, Clone, Default)]
pub struct Vetter {
    /// `[upstream] allow_networks`: destination networks that would otherwise be refused.
    pub allowed: Vec<IpNet>,
    /// Own listeners: refused whatever `allowed` says (an unspecified IP stands for every local address on that port
    /// that is loopback or listed in `own_addresses`).
    pub own_listeners: Vec<SocketAddr>,
    /// Addresses of this machine's interfaces.
    pub own_addresses: Vec<IpAddr>,
}

impl Vetter {
    /// Judges one address.
    ///
    /// # Errors
    /// [`AddressRefusal`] names the kind of address.
    pub fn vet(&self, address: SocketAddr) -> Result<VettedAddr, AddressRefusal> {
        let _ = address;
        unimplemented!()
    }
}
