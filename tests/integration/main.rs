//! Weir from outside: one binary, a module for each thing a user or an attacker can see.
//!
//! Each test starts a gateway of its own between raw sockets or real programs. Names state behavior;
//! `row_NNN` refers to the catalogue of hostile inputs and faults. Nothing here imports Weir.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[cfg(test)]
mod capacity;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod compatibility;
mod control;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod disks;
mod flights;
#[cfg(test)]
mod freshness;
#[cfg(test)]
mod notifying;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod parsing;
mod passing;
#[cfg(test)]
mod poisoning;
#[cfg(test)]
mod redirecting;
#[cfg(test)]
mod resuming;
#[cfg(test)]
mod revalidating;
mod rules;
#[cfg(test)]
mod ssrf;
#[cfg(test)]
mod stage;
#[cfg(test)]
mod tunnels;
#[cfg(test)]
mod upstream_faults;
