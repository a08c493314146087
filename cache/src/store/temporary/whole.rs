//! Files of small objects, which are written as a whole: one job for each of its disks, from its creation to its name.

use super::{Allotment, TemporaryShards, begun, renamed, withdrawn};
use crate::object::Sequence;
use crate::ports::Device;
use crate::store::core::Core;
use crate::store::layout::{ShardName, temporary_path};
use crate::store::{Durability, StoreError};
use bytes::Bytes;
use std::io::IoSlice;
use std::sync::Arc;

/// What data is padded to in a file, bytes.
const ALIGNMENT: usize = 4096;

/// All bytes of a small object's copy.
#[derive(Debug)]
pub(crate) struct WholeShard {
    pub(crate) name: ShardName,
    pub(crate) header: Vec<u8>,
    pub(crate) body: Bytes,
    pub(crate) footer: Vec<u8>,
}

impl TemporaryShards {
    /// Creates the files with all they hold, in one job for each. Where nothing is to be synced that job gives them
    /// their names as well, and [`Self::publish`] finds nothing left to do.
    pub(crate) fn create_whole(
        core: &Arc<Core>,
        sequence: Sequence,
        place: Allotment,
        shards: Vec<WholeShard>,
    ) -> Result<Self, StoreError> {
        let needed = place.placement.geometry.data_shards().into();
        let mut files = Self::absent(core, place.placement.members, needed);
        let durability = core.settings.durability;
        let shards = (0_u8..).zip(place.placement.members.iter()).zip(shards);
        let mut jobs = Vec::new();
        for ((index, _), shard) in shards.filter(|((_, disk), _)| place.on.contains(*disk)) {
            let path = temporary_path(sequence, index);
            files.note_path(index, &path);
            let shard = Arc::new(shard);
            let write = move |device: &dyn Device| {
                let file = begun(device, &path, None, &shard.parts())?;
                if durability == Durability::Relaxed {
                    let named = renamed(device, &path, &shard.name, durability);
                    named.or_else(|error| withdrawn(device, &path, error))?;
                }
                Ok(file)
            };
            jobs.push((index, write));
        }
        let written = files.run(
            "write",
            place.bytes.unwrap_or(crate::store::UNIT_BYTES),
            jobs,
        )?;
        for (index, handle) in written {
            if let Some(shard) = files.shards.get_mut(usize::from(index)) {
                shard.handle = Some(handle);
                shard.path.take_if(|_| durability == Durability::Relaxed);
            }
        }
        Ok(files)
    }
}

impl WholeShard {
    /// What stands in the file, in this order.
    fn parts(&self) -> [IoSlice<'_>; 4] {
        static ZEROS: [u8; ALIGNMENT] = [0; ALIGNMENT];
        let gap = self.body.len().next_multiple_of(ALIGNMENT) - self.body.len();
        let gap = ZEROS.get(..gap).unwrap_or_default();
        [&self.header, self.body.as_ref(), gap, &self.footer].map(IoSlice::new)
    }
}
