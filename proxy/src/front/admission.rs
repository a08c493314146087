//! Who may have a connection: a bound for all clients together and one for each.
//!
//! A seat is taken when a connection is accepted and given back by dropping it. IPv6 clients are counted by their /64,
//! the smallest network a single household has; counting addresses would be no bound at all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use weir_cache::allowance::{Allowance, Taken};

/// Bits of an IPv6 address that say which client it is.
const CLIENT_MASK: u128 = !0 << 64;

/// The bounds and what is used of them.
#[derive(Debug)]
pub(super) struct Admission {
    seats: Arc<Allowance>,
    clients: Arc<Mutex<HashMap<IpAddr, usize>>>,
    per_client_max: AtomicUsize,
    /// Times that a connection had to wait for a seat.
    crowded: AtomicU64,
    /// Connections refused because their client had its share.
    refused: AtomicU64,
}

/// What admission counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AdmissionCounts {
    /// Open connections.
    pub(crate) connections: u64,
    /// Times that a connection had to wait for a seat.
    pub(crate) crowded: u64,
    /// Connections refused because their client had its share.
    pub(crate) refused: u64,
}

/// A connection's place among all.
#[derive(Debug)]
pub(super) struct Seat {
    _taken: Taken,
}

/// A connection's place among those of its client.
#[derive(Debug)]
pub(super) struct ClientSeat {
    clients: Arc<Mutex<HashMap<IpAddr, usize>>>,
    client: IpAddr,
}

impl Admission {
    /// Everything free.
    pub(super) fn new(connections_max: usize, per_client_max: usize) -> Self {
        Self {
            seats: Allowance::new(connections_max.max(1) as u64),
            clients: Arc::default(),
            per_client_max: AtomicUsize::new(per_client_max.max(1)),
            crowded: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Other bounds from now on. Whoever sits stays.
    pub(super) fn resize(&self, connections_max: usize, per_client_max: usize) {
        self.seats.set_most(connections_max.max(1) as u64);
        self.per_client_max
            .store(per_client_max.max(1), Ordering::Relaxed);
    }

    /// A seat, if one is free now.
    pub(super) fn try_sit(&self) -> Option<Seat> {
        let taken = self.seats.try_take(1)?;
        Some(Seat { _taken: taken })
    }

    /// A seat, when one is free. Cancel-safe.
    pub(super) async fn sit(&self) -> Seat {
        self.crowded.fetch_add(1, Ordering::Relaxed);
        let taken = self.seats.take(1).await;
        Seat { _taken: taken }
    }

    /// A seat among those of `client`, unless it has all it may have.
    pub(super) fn admit(&self, client: SocketAddr) -> Option<ClientSeat> {
        let client = client_of(client);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let count = clients.entry(client).or_insert(0);
        if *count >= self.per_client_max.load(Ordering::Relaxed) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        *count += 1;
        drop(clients);
        Some(ClientSeat {
            clients: Arc::clone(&self.clients),
            client,
        })
    }
}

impl Admission {
    pub(super) fn counts(&self) -> AdmissionCounts {
        AdmissionCounts {
            connections: self.seats.taken(),
            crowded: self.crowded.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}

impl Drop for ClientSeat {
    fn drop(&mut self) {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = clients.get_mut(&self.client) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                clients.remove(&self.client);
            }
        }
    }
}

/// The network that counts as one client.
fn client_of(address: SocketAddr) -> IpAddr {
    match address.ip().to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) & CLIENT_MASK)),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_gets_its_share_and_gets_it_back() {
        let admission = Admission::new(10, 2);
        let first = admission.admit(address("192.0.2.1:1"));
        let second = admission.admit(address("192.0.2.1:2"));
        assert!(first.is_some() && second.is_some());
        assert!(admission.admit(address("192.0.2.1:3")).is_none());
        assert!(admission.admit(address("192.0.2.2:1")).is_some());
        drop(first);
        assert!(admission.admit(address("192.0.2.1:4")).is_some());
        drop(second);
    }

    #[test]
    fn clients_that_left_are_forgotten() {
        let admission = Admission::new(10, 2);
        drop(admission.admit(address("192.0.2.1:1")));
        assert!(admission.clients.lock().unwrap().is_empty());
    }

    #[test]
    fn one_ipv6_network_is_one_client_and_a_mapped_address_is_ipv4() {
        let admission = Admission::new(10, 1);
        let held = admission.admit(address("[2001:db8::1]:1"));
        assert!(held.is_some());
        assert!(admission.admit(address("[2001:db8::2]:1")).is_none());
        assert!(admission.admit(address("[2001:db8:0:1::1]:1")).is_some());
        let mapped = admission.admit(address("[::ffff:192.0.2.1]:1"));
        assert!(mapped.is_some());
        assert!(admission.admit(address("192.0.2.1:1")).is_none());
    }

    #[test]
    fn seats_are_bounded() {
        let admission = Admission::new(1, 1);
        let seat = admission.try_sit();
        assert!(seat.is_some());
        assert!(admission.try_sit().is_none());
        drop(seat);
        assert!(admission.try_sit().is_some());
    }

    #[test]
    fn who_sits_stays_when_there_are_fewer_seats() {
        let admission = Admission::new(2, 2);
        let seats = (admission.try_sit(), admission.try_sit());
        let client = address("192.0.2.1:1");
        let shares = (admission.admit(client), admission.admit(client));
        admission.resize(1, 1);
        assert_eq!(admission.counts().connections, 2);
        drop((seats.0, shares.0));
        assert!(admission.try_sit().is_none() && admission.admit(client).is_none());
        drop((seats.1, shares.1));
        assert!(admission.try_sit().is_some() && admission.admit(client).is_some());
    }
}
