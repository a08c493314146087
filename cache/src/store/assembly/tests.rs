//! Situations at a start, and random histories of pools.

use super::*;
use crate::store::members::Members;
use crate::store::superblock::Lineage;

mod history;
mod situations;

const POOL: [u8; 16] = [7; 16];

fn uuid(number: u8) -> [u8; 16] {
    [100 + number; 16]
}

/// A disk of a pool of `disks`, as formatted.
fn disk(slot: u8, disks: u8) -> Superblock {
    Superblock {
        pool: POOL,
        disk: uuid(slot),
        slot: u16::from(slot),
        disks: u16::from(disks),
        writes: 4,
        clean: true,
        epoch: 1,
        reserved: 1000,
        synced: 900,
        doubt: (0, 0),
        owner: 4711,
        boot: "boot".into(),
        log: (800, 4096),
        slots: (0..disks).map(|slot| Some(uuid(slot))).collect(),
        parity: 2,
        told: Members::EMPTY,
        retiring: Members::EMPTY,
        lineage: Lineage::starting(1),
    }
}

/// `superblock` after the epochs with these tags, one number each.
fn lived(mut superblock: Superblock, tags: &[u64]) -> Superblock {
    for tag in tags {
        superblock.begin_epoch(*tag, Members::EMPTY);
    }
    superblock
}

fn found(states: Vec<FoundState>) -> Vec<Found> {
    let numbered = states.into_iter().enumerate();
    numbered
        .map(|(number, state)| Found {
            folder: format!("/disk{number}"),
            state,
        })
        .collect()
}

fn ours(superblocks: &[Superblock]) -> Vec<Found> {
    let state = |superblock: &Superblock| FoundState::Ours(Box::new(superblock.clone()));
    found(superblocks.iter().map(state).collect())
}

fn pool(found: &[Found]) -> Assembled {
    match assemble(found, 2).unwrap() {
        Assembly::Pool(pool) => *pool,
        Assembly::Format => panic!("would format"),
    }
}

fn refused(found: &[Found]) -> String {
    assemble(found, 2).unwrap_err().to_string()
}

fn places(pool: &Assembled) -> Vec<Place> {
    // A place stands at its slot: none of these pools has a vacant one.
    pool.places.iter().map(|(_, place)| *place).collect()
}
