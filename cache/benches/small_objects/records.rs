//! What files and packs have in common.

use super::measure::Outcome;
use twox_hash::XxHash3_64;

/// Of each small object on an array with two parities.
pub(crate) const COPIES: usize = 3;

/// The disks that an object's copies are on.
pub(crate) fn places_of(number: u64, disks: usize) -> impl Iterator<Item = usize> {
    let disks = disks.max(1);
    let first = usize::try_from(number % disks as u64).unwrap_or(0);
    (first..first + COPIES).map(move |place| place % disks)
}

pub(crate) fn checksum(data: &[u8]) -> u64 {
    XxHash3_64::oneshot(data)
}

/// An error unless the data is what was written.
pub(crate) fn verify(data: &[u8], sum: u64) -> Outcome<()> {
    if checksum(std::hint::black_box(data)) == sum {
        return Ok(());
    }
    Err("the bench has read something else than it has written".into())
}
