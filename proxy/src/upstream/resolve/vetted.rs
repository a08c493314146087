//! The only source of addresses to connect to: resolve → vet → hand out.
//!
//! A name with a public and a private address is served from the public one (row 49). Numbers are read as addresses
//! only in their one standard form; `127.1` or `0x7f000001` are names here and will not resolve (row 48).

use super::book::AddressBook;
use super::{ResolveError, Resolver};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use weir_cache::ports::OriginError;
use weir_policies::address::{AddressRefusal, VettedAddr, Vetter};

/// Addresses of one name and one family that are tried at most.
const FAMILY_ADDRESSES_MAX: usize = 8;

/// Resolves and judges.
pub(crate) struct VettedResolver {
    book: AddressBook,
    vetter: Arc<Vetter>,
}

impl VettedResolver {
    /// `deadline` is for one answer, waiting for a turn included.
    pub(crate) fn new(
        resolver: Arc<dyn Resolver>,
        vetter: Arc<Vetter>,
        deadline: Duration,
    ) -> Self {
        Self {
            book: AddressBook::new(resolver, deadline),
            vetter,
        }
    }

    /// The allowed addresses of `host` (a name, an IPv4 literal or an IPv6 literal in brackets), never empty.
    ///
    /// # Errors
    /// `NoAddress`, `Resolver`, or `Refused` with the first refusal when policy allows none.
    pub(crate) async fn addresses(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Vec<VettedAddr>, OriginError> {
        let addresses = match literal(host) {
            Some(address) => vec![address],
            None => self
                .book
                .addresses(host)
                .await
                .map_err(|error| match error {
                    ResolveError::NoAddress => OriginError::NoAddress(host.to_owned()),
                    ResolveError::Failed => OriginError::Resolver(host.to_owned()),
                })?,
        };
        self.judge(host, port, &addresses)
    }

    fn judge(
        &self,
        host: &str,
        port: u16,
        addresses: &[IpAddr],
    ) -> Result<Vec<VettedAddr>, OriginError> {
        let mut allowed = Vec::new();
        let mut first_refused = None;
        for address in addresses {
            let address = SocketAddr::new(*address, port);
            match self.vetter.vet(address) {
                Ok(vetted) => allowed.push(vetted),
                // A name that leads to ourselves at all is a loop, whatever else it leads to.
                Err(refusal @ AddressRefusal::OwnListener) => {
                    let host = host.to_owned();
                    return Err(OriginError::Refused {
                        host,
                        address,
                        refusal,
                    });
                }
                Err(refusal) => {
                    first_refused.get_or_insert((address, refusal));
                }
            }
        }
        let allowed = cut(allowed);
        match first_refused {
            Some((address, refusal)) if allowed.is_empty() => Err(OriginError::Refused {
                host: host.to_owned(),
                address,
                refusal,
            }),
            _ if allowed.is_empty() => Err(OriginError::NoAddress(host.to_owned())),
            _ => Ok(allowed),
        }
    }
}

/// Cuts each family by itself: many IPv6 addresses must not crowd out the only IPv4 one.
fn cut(addresses: Vec<VettedAddr>) -> Vec<VettedAddr> {
    let is_ipv6 = |address: &VettedAddr| address.get().is_ipv6();
    let (mut kept, mut ipv4): (Vec<_>, Vec<_>) = addresses.into_iter().partition(is_ipv6);
    kept.truncate(FAMILY_ADDRESSES_MAX);
    ipv4.truncate(FAMILY_ADDRESSES_MAX);
    kept.append(&mut ipv4);
    kept
}

fn literal(host: &str) -> Option<IpAddr> {
    match host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(inside) => inside.parse().ok().map(IpAddr::V6),
        None => host.parse().ok(),
    }
}
