//! A small object: kept in memory until it is complete, and then written by one job on each of its disks.
//!
//! Nothing of it is on a disk before its commit. What is refused there gets its files all the same, so that it can be
//! looked at in quarantine/.

use super::spread::{Spread, footers};
use super::{Complete, Writing};
use crate::object::Digests;
use crate::store::checksum::ShardIdentity;
use crate::store::claim::Claim;
use crate::store::layout::ObjectName;
use crate::store::members::Placement;
use crate::store::temporary::{Allotment, TemporaryShards, WholeShard};
use crate::store::{BLOCK_BYTES, StoreError};
use bytes::Bytes;

impl Writing {
    /// Writes all of it. Where nothing is to be synced, the files have their names afterwards.
    pub(super) fn write_whole(&mut self) -> Result<Complete, StoreError> {
        let digests = match self.digesting.finish() {
            Ok(digests) => digests,
            Err(mismatch) => {
                if let Err(error) = self.spread_early(Some(self.received)) {
                    tracing::debug!(%error, "a refused body is not kept for inspection");
                }
                return Err(self.refuse(mismatch));
            }
        };
        self.obey_bans()?;
        let (placement, claim) = self.core.claim(&self.head, Some(self.received))?;
        self.write_at_once(placement, claim, digests)
    }

    fn write_at_once(
        &mut self,
        placement: Placement,
        mut claim: Claim,
        digests: Digests,
    ) -> Result<Complete, StoreError> {
        let name = self.named(placement, self.received);
        let (head, headers) = self.headers(&name, Some(self.received))?;
        self.head = head;
        let data_start = headers.first().map_or(0, Vec::len) as u64;
        let body = Bytes::from(std::mem::take(&mut self.early));
        let tables = tables(&name, &body);
        let footers = footers(&name, data_start, &tables, &digests);
        let shards = name.shards().zip(headers).zip(footers);
        let shards = shards.map(|(((_, name), header), footer)| WholeShard {
            name,
            header,
            body: body.clone(),
            footer,
        });
        let place = Allotment {
            placement,
            on: claim.members(),
            bytes: Some(placement.geometry.footprint_bytes(self.received)),
        };
        let files =
            TemporaryShards::create_whole(&self.core, self.sequence, place, shards.collect())?;
        claim.allocated();
        let spread = Spread::new(&self.core, &self.growing, name, files, claim, data_start);
        let spread = spread.inspect_err(|_| {
            // The files have their names already.
            let paths = name.shards().map(|(disk, shard)| (disk, shard.path()));
            self.core.remove_files(&paths.collect::<Vec<_>>());
        })?;
        for (index, table) in (0_u8..).zip(&tables) {
            spread.placed.extend(index, table);
        }
        spread.placed.finish(self.received);
        self.spread = Some(spread);
        self.growing.set_readable(self.received);
        Ok(Complete {
            name,
            tables,
            digests,
        })
    }
}

/// The checksums of every copy: each is seeded with its own place.
fn tables(name: &ObjectName, body: &[u8]) -> Vec<Vec<u64>> {
    let block_bytes = usize::try_from(BLOCK_BYTES).unwrap_or(usize::MAX);
    let of_shard = |identity: ShardIdentity| {
        let blocks = (0_u64..).zip(body.chunks(block_bytes));
        blocks
            .map(|(block, bytes)| identity.checksum(block, bytes))
            .collect()
    };
    let shards = name.shards();
    shards
        .map(|(_, shard)| of_shard(shard.identity()))
        .collect()
}
