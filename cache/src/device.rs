//! Disks: the adapters of the [`Device`](crate::ports::Device) port.
//!
//! [`file`] is a folder of the real file system. [`memory`] is the double that crashes, loses power, rots and fills
//! up on demand; it is compiled always, because other crates' tests use it too. Both run the same contract.

pub mod file;
pub mod memory;

#[cfg(test)]
mod contract;
