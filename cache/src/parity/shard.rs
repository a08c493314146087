//! The shards of one stripe as the caller has them: some there, some wanted, some neither.

use super::{ParityError, ROLES_MAX};

/// One shard of a stripe.
#[derive(Debug)]
pub enum Shard<'a> {
    /// Read and verified.
    Present(&'a [u8]),
    /// Not there; is to be computed into this buffer, whatever it holds now.
    Wanted(&'a mut [u8]),
    /// Not there or not read, and not asked for.
    Absent,
}

/// The same shards, by what they are.
#[derive(Debug)]
pub(super) struct Sorted<'a> {
    /// By role.
    pub(super) present: [Option<&'a [u8]>; ROLES_MAX],
    /// By role.
    pub(super) wanted: [Option<&'a mut [u8]>; ROLES_MAX],
    /// Length of each.
    pub(super) bytes: usize,
    /// In the geometry.
    roles: usize,
}

impl<'a> Sorted<'a> {
    /// Checks that there are as many as the geometry has, of one length, and no more missing than the code survives.
    pub(super) fn new<'b: 'a>(
        shards: &'a mut [Shard<'b>],
        data_shards: usize,
        parity_shards: usize,
    ) -> Result<Self, ParityError> {
        let roles = data_shards + parity_shards;
        check_count(shards.len(), roles)?;
        let mut sorted = Self {
            present: [None; ROLES_MAX],
            wanted: [const { None }; ROLES_MAX],
            bytes: shards.iter().find_map(Shard::bytes).unwrap_or(0),
            roles,
        };
        let places = sorted.present.iter_mut().zip(&mut sorted.wanted);
        for (shard, (present, wanted)) in shards.iter_mut().zip(places) {
            check_length(shard.bytes().unwrap_or(sorted.bytes), sorted.bytes)?;
            match shard {
                Shard::Present(bytes) => *present = Some(bytes),
                Shard::Wanted(bytes) => *wanted = Some(bytes),
                Shard::Absent => {}
            }
        }
        let missing = sorted.missing().count();
        if missing > parity_shards {
            return Err(ParityError::TooManyMissing {
                missing,
                parity_shards,
            });
        }
        Ok(sorted)
    }

    /// Roles of shards that are there, in order, with their bytes.
    pub(super) fn present(&self) -> impl Iterator<Item = (usize, &'a [u8])> {
        let present = self.present.iter().enumerate();
        present.filter_map(|(role, bytes)| bytes.map(|bytes| (role, bytes)))
    }

    /// Roles of shards that are not there, in order.
    pub(super) fn missing(&self) -> impl Iterator<Item = usize> {
        let present = self.present.iter().take(self.roles).enumerate();
        present.filter_map(|(role, bytes)| bytes.is_none().then_some(role))
    }

    /// The buffer that this role is wanted in.
    pub(super) fn take_wanted(&mut self, role: usize) -> Option<&'a mut [u8]> {
        self.wanted.get_mut(role)?.take()
    }
}

impl Shard<'_> {
    fn bytes(&self) -> Option<usize> {
        match self {
            Self::Present(bytes) => Some(bytes.len()),
            Self::Wanted(bytes) => Some(bytes.len()),
            Self::Absent => None,
        }
    }
}

pub(super) fn check_count(found: usize, shards: usize) -> Result<(), ParityError> {
    if found == shards {
        Ok(())
    } else {
        Err(ParityError::ShardCount { shards, found })
    }
}

pub(super) fn check_length(found_bytes: usize, bytes: usize) -> Result<(), ParityError> {
    if found_bytes == bytes {
        Ok(())
    } else {
        Err(ParityError::UnequalLengths { bytes, found_bytes })
    }
}
