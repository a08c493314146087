//! Keeps bytes: the index, the store on disk, and the flights that fill it.
//!
//! Knows nothing of listeners, Pingora or client connections. What it needs from outside it asks for through the
//! ports in [`ports`]; what it decides about HTTP it asks `weir-policies`.
//!
//! Reading order: [`ports`] → [`object`] (what is stored) → [`store`] (how) → [`engine`] (who may read and who must
//! fetch).

#![cfg_attr(
    test,
    allow(clippy::cast_possible_truncation, reason = "tests make small numbers")
)]

pub mod allowance;
pub mod clock;
pub mod device;
pub mod digest;
pub mod engine;
pub mod events;
pub mod metrics;
pub mod object;
pub mod parity;
pub mod ports;
#[cfg(test)]
mod seeds;
pub mod store;
pub mod tasks;
