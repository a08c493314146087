//! What is true: every generation of every key, and which of them may answer now.
//!
//! It is derived from what was asked for and what went wrong, never from what the store says of itself; with two
//! exceptions, both towards a milder judgment: on which disks an object was placed, and which disks the store itself
//! does without. What was hurt heals only when the files themselves were read and found whole.

use super::disks::DISKS_MAX;
use crate::object::Sequence;
use crate::store::members::Members;
use crate::store::report::DiskSlot;
use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use weir_policies::purge::PurgeMode;

/// What may become of a generation that is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Being written, or given up: nobody ever sees it.
    Unseen,
    /// It may answer.
    Possible,
    /// A later one was acknowledged.
    Replaced,
    /// Somebody asked for it to be forgotten, and was told that it is.
    Forgotten,
    /// A purge that was acknowledged has removed it.
    Purged,
}

/// One body that somebody began to store.
#[derive(Debug, Clone)]
pub(super) struct Generation {
    pub(super) id: u32,
    pub(super) length: usize,
    pub(super) standing: Standing,
    /// `None` as long as nobody was told.
    pub(super) sequence: Option<Sequence>,
    pub(super) members: Members,
    /// So many of its members may be lost.
    pub(super) tolerance: u8,
    /// Members whose shard may not be there, or not be whole.
    pub(super) hurt: Members,
    /// Members whose shard may be lost with the power.
    pub(super) fragile: Members,
    /// Nobody knows how much of it is there.
    pub(super) shaken: bool,
    /// It survives a power loss.
    pub(super) synced: bool,
    /// Acknowledged, and what it replaced may be gone.
    pub(super) acknowledged: bool,
    /// A soft purge covers it, and nobody has asked its origin since.
    pub(super) must_be_stale: bool,
    /// Its origin was asked in this run.
    pub(super) asked: bool,
}

/// One key.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// In the order in which they were begun.
    pub(super) generations: Vec<Generation>,
    /// One of those that are possible has to be there.
    pub(super) must: bool,
    /// The newest one may have gone before an older one has gone from the platter.
    pub(super) gone_first: bool,
    /// A file of an older one may be on a disk that removes nothing.
    pub(super) has_clung: bool,
}

/// What the test knows of an acknowledged object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored {
    pub(super) sequence: Sequence,
    pub(super) members: Members,
    pub(super) tolerance: u8,
    pub(super) hurt: Members,
    pub(super) synced: bool,
}

/// The bytes of a generation: another one's are different everywhere.
pub(super) fn bytes_of(id: u32, length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    SmallRng::seed_from_u64(id.into()).fill(bytes.as_mut_slice());
    bytes.into()
}

impl Generation {
    fn new(id: u32, length: usize) -> Self {
        Self {
            id,
            length,
            standing: Standing::Unseen,
            sequence: None,
            members: Members::EMPTY,
            tolerance: 0,
            hurt: Members::EMPTY,
            fragile: Members::EMPTY,
            shaken: true,
            synced: false,
            acknowledged: false,
            must_be_stale: false,
            asked: false,
        }
    }

    fn is_possible(&self) -> bool {
        self.standing == Standing::Possible
    }

    /// Whether its geometry makes up for what it has lost, and for these disks.
    fn survives(&self, out: Members) -> bool {
        let lost = self.hurt.union(out).intersection(self.members);
        !self.shaken && lost.len() <= self.tolerance
    }

    /// It may answer again, unless it was purged or forgotten.
    fn revive(&mut self) {
        if self.standing == Standing::Replaced {
            self.standing = Standing::Possible;
        }
    }
}

impl Shelf {
    pub(super) fn begin(&mut self, id: u32, length: usize) {
        self.generations.push(Generation::new(id, length));
    }

    /// The only one that may answer.
    pub(super) fn only(&self) -> Option<&Generation> {
        let mut possible = self.possible();
        possible.next().filter(|_| possible.next().is_none())
    }

    pub(super) fn get(&self, id: u32) -> Option<&Generation> {
        let mut generations = self.generations.iter();
        generations.find(|generation| generation.id == id)
    }

    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut Generation> {
        let mut generations = self.generations.iter_mut();
        generations.find(|generation| generation.id == id)
    }

    /// The one that was acknowledged last, if it may still answer.
    pub(super) fn newest(&mut self) -> Option<&mut Generation> {
        let newest = self.generations.iter_mut().rev();
        let mut newest = newest.filter(|generation| generation.acknowledged);
        newest.next().filter(|generation| generation.is_possible())
    }

    fn possible(&self) -> impl Iterator<Item = &Generation> {
        let generations = self.generations.iter();
        generations.filter(|generation| generation.is_possible())
    }

    /// Whether a miss is an error while these disks are out.
    pub(super) fn is_required(&self, out: Members) -> bool {
        let possible: Vec<_> = self.possible().collect();
        match possible.as_slice() {
            _ if !self.must => false,
            [only] => only.survives(out),
            several => out.is_empty() && several.iter().any(|one| one.survives(out)),
        }
    }

    pub(super) fn commit(&mut self, id: u32, stored: Stored) {
        for generation in &mut self.generations {
            if generation.is_possible() {
                generation.standing = Standing::Replaced;
            }
            if generation.id == id {
                generation.standing = Standing::Possible;
                generation.acknowledged = true;
                generation.sequence = Some(stored.sequence);
                generation.members = stored.members;
                generation.tolerance = stored.tolerance;
                generation.hurt = stored.hurt;
                generation.synced = stored.synced;
                generation.shaken = false;
            }
        }
        self.must = true;
        self.gone_first = false;
        self.forget_the_oldest();
    }

    /// It may have been stored or not.
    pub(super) fn may_be_stored(&mut self, id: u32) {
        if let Some(generation) = self.get_mut(id) {
            generation.standing = Standing::Possible;
        }
    }

    /// Nothing can be said of what is there; what was there may be.
    pub(super) fn let_go(&mut self) {
        self.must = false;
    }

    /// Everything that was committed by now is on the platters of the disks that are live.
    pub(super) fn sync(&mut self, live: Members) {
        for generation in &mut self.generations {
            if !generation.acknowledged {
                continue;
            }
            if !generation.synced {
                let unsynced = generation.members.difference(live);
                generation.hurt = generation.hurt.union(unsynced);
            }
            generation.synced = true;
            generation.fragile = generation.fragile.difference(live);
        }
    }

    pub(super) fn purge(&mut self, mode: PurgeMode) {
        for generation in &mut self.generations {
            match mode {
                PurgeMode::Remove if generation.standing != Standing::Unseen => {
                    generation.standing = Standing::Purged;
                }
                PurgeMode::Remove => {}
                PurgeMode::Stale => generation.must_be_stale = true,
            }
        }
        self.must &= mode == PurgeMode::Stale;
    }

    /// A purge that most disks have not heard of: started without those that have, they may bring back what it covers.
    /// The store says so when it acknowledges one.
    pub(super) fn purge_among_few(&mut self, mode: PurgeMode) {
        if mode == PurgeMode::Remove {
            self.forget();
        }
    }

    pub(super) fn forget(&mut self) {
        for generation in &mut self.generations {
            if matches!(generation.standing, Standing::Possible | Standing::Replaced) {
                generation.standing = Standing::Forgotten;
            }
        }
        self.must = false;
    }

    pub(super) fn evict(&mut self) {
        for generation in &mut self.generations {
            // What it replaced goes with it.
            generation.shaken = true;
        }
        self.must = false;
        self.gone_first = true;
    }

    /// The process, or the power, ends. `all_there`: no disk is absent from the start that follows.
    pub(super) fn crash(&mut self, loses_unsynced: bool, is_power_loss: bool, all_there: bool) {
        let is_weak = |generation: &Generation| !generation.survives(Members::EMPTY);
        let newest_is_weak = self.newest().is_none_or(|newest| is_weak(newest));
        let has_kept = self.has_kept();
        let is_synced = |generation: &Generation| generation.acknowledged && generation.synced;
        // What is older was removed after this one was on the platter; that removal itself may be lost.
        let floor = self.generations.iter().rposition(is_synced);
        let floor_is_weak = floor.is_some_and(|floor| is_weak(&self.generations[floor]));
        let has_ghosts = has_kept || (is_power_loss && (self.gone_first || floor_is_weak));
        // Any of those that came after it may have been synced without the test being told (an end in order does that,
        // and a full list of replaced files), and then it has taken the place of all older ones.
        let since = self.generations.iter().skip(floor.unwrap_or(0));
        let mut acknowledged = since.filter(|generation| generation.acknowledged);
        let some_are_weak = acknowledged.any(is_weak);
        let may_return = loses_unsynced || newest_is_weak || self.gone_first;
        for (number, generation) in self.generations.iter_mut().enumerate() {
            generation.asked = false;
            if is_power_loss {
                generation.hurt = generation.hurt.union(generation.fragile);
                generation.fragile = Members::EMPTY;
            }
            generation.shaken |= loses_unsynced && !generation.synced;
            let is_newer = floor.is_none_or(|floor| number >= floor);
            if has_ghosts || (is_newer && may_return) {
                generation.revive();
            }
        }
        // An absent disk may have the rest of a newer one, which must not be passed over.
        let is_clear = self.possible().all(|generation| !generation.shaken);
        self.must &= is_clear || all_there;
        // Its names may stand before what it replaced, and nothing be behind them. Who is only killed leaves the newest.
        let is_endangered = newest_is_weak || (is_power_loss && some_are_weak);
        self.must &= !is_endangered;
    }

    /// More is out than its geometry makes up for.
    pub(super) fn suffer(&mut self, out: Members) {
        if out.is_empty() {
            return;
        }
        // Of several only those that were acknowledged count: the others may never have been there.
        let is_clear = self.only().is_some();
        let counts = |one: &&Generation| is_clear || one.acknowledged;
        let survives = self.possible().filter(counts).all(|one| one.survives(out));
        self.must &= survives;
    }

    /// The disks that are here cannot tell what the others know better.
    pub(super) fn diverge(&mut self) {
        for generation in &mut self.generations {
            generation.revive();
            if generation.standing == Standing::Forgotten {
                generation.standing = Standing::Possible;
            }
        }
        self.must = false;
    }

    /// It answered while every disk was there: nothing else will.
    pub(super) fn settle_on(&mut self, id: u32) {
        for generation in &mut self.generations {
            if generation.id == id {
                self.must &= !generation.shaken;
            } else if generation.is_possible() {
                generation.standing = Standing::Replaced;
            }
        }
    }

    /// It is not there although every disk is.
    pub(super) fn settle_on_nothing(&mut self) {
        for generation in &mut self.generations {
            if generation.is_possible() {
                generation.standing = Standing::Replaced;
            }
        }
        self.evict();
    }

    /// An end in order.
    pub(super) fn close(&mut self) {
        let has_kept = self.has_kept();
        for generation in &mut self.generations {
            generation.asked = false;
            if has_kept {
                generation.revive();
            }
        }
        self.must &= !has_kept;
    }

    /// What the store could not remove it tries again, but not beyond its own end: should all of the newer one be lost by
    /// then, that file is the best that there is.
    fn has_kept(&mut self) -> bool {
        let newest = self.newest();
        let is_weak = newest.is_none_or(|newest| !newest.survives(Members::EMPTY));
        self.has_clung && is_weak
    }

    /// It was found on these disks. A start puts a shard that it does not find on any disk that fits: there it is
    /// missing as much as where it was.
    pub(super) fn learn_members(&mut self, id: u32, members: Members, tolerance: u8) {
        let Some(generation) = self.get_mut(id) else {
            return;
        };
        if !generation.members.is_empty() {
            let moved = members.difference(generation.members);
            generation.hurt = generation.hurt.union(moved);
        }
        (generation.members, generation.tolerance) = (members, tolerance);
    }

    /// All of its files were read and are whole, and it has answered.
    pub(super) fn heal(&mut self, id: u32, members: Members) {
        if let Some(generation) = self.get_mut(id) {
            // Its new files may not be on the platter yet.
            generation.fragile = generation.fragile.union(generation.hurt);
            if generation.shaken {
                generation.synced = false;
            }
            (generation.hurt, generation.shaken) = (Members::EMPTY, false);
            generation.members = members;
            generation.acknowledged = true;
        }
        self.must = self.possible().count() == 1;
    }

    /// A shard on this disk is not what it was.
    pub(super) fn hurt(&mut self, slot: DiskSlot, sequence: Option<Sequence>) {
        for generation in &mut self.generations {
            if sequence.is_none() || generation.sequence == sequence {
                generation.hurt = generation.hurt.with(slot);
            }
        }
    }

    /// Generations that nothing can bring back any more are only kept as far as a look at a wrong byte needs them.
    fn forget_the_oldest(&mut self) {
        const KEPT: usize = 64 + DISKS_MAX;
        let excess = self.generations.len().saturating_sub(KEPT);
        self.generations.drain(..excess);
    }
}
