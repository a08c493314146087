//! The end of bans: everything older is looked at once, then the ban is forgotten.
//!
//! ```text
//! files left over retried → found by keys: one URL → others: a walk through the index → nothing awaited, nothing half
//! done, nothing replaced waiting → syncfs → record of the bans that survive, synced → over
//! ```
//! Part of the maintenance pass; each pass walks for [`WALK_TIME`] at most. Entries keep their place in the index while
//! they are there, so a walk misses none, except those that were taken out and put back behind it: the index counts
//! these, and the walk is repeated. What is committed during the walk by a writer from before the ban removes itself
//! (writer.rs), and the ban waits for that writer.

use super::record::{Ban, encode_survivors};
use crate::object::ObjectHead;
use crate::ports::Device;
use crate::store::StoreError;
use crate::store::core::{Core, lock};
use crate::store::index::Record;
use crate::store::log::append::{NewRecord, Sync};
use crate::store::log::record::SURVIVORS;
use crate::store::shard::Shard;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use weir_policies::purge::PurgeMode;

/// What one pass spends on the walk.
const WALK_TIME: Duration = Duration::from_secs(1);
/// Entries looked at between two looks at the clock.
const BATCH: usize = 256;

/// How far the sweep has come.
#[derive(Debug, Default)]
pub(in crate::store) struct Sweep {
    walk: Option<Walk>,
    /// Bans that nothing is left of, by number, with the count of entries put back when that was begun to be seen.
    seen: HashMap<u64, u64>,
}

#[derive(Debug)]
struct Walk {
    bans: Vec<Arc<Ban>>,
    /// The next place in the index.
    next: u32,
    put_back: u64,
    /// Something could not be read or removed.
    is_incomplete: bool,
}

impl Core {
    /// One pass. Pool only.
    pub(in crate::store) fn sweep_bans(self: &Arc<Self>) {
        if self.bans.in_force().is_empty() || self.suspect.load(Ordering::Acquire) {
            return;
        }
        let Ok(mut sweep) = self.bans.sweep.try_lock() else {
            return; // another thread is at it
        };
        self.retry_left();
        self.settle_again(&mut sweep);
        self.walk(&mut sweep);
        if let Err(error) = self.end_bans(&mut sweep) {
            tracing::warn!(disk = self.name(), %error, "cannot end a purge; it stays in force");
        }
        self.stats.bans.set(self.bans.in_force().len() as u64);
    }

    /// Removes what could not be removed before; not what has found its way back into the index. Pool, or the end of
    /// the store.
    pub(in crate::store) fn retry_left(&self) {
        self.await_removals();
        for (disk, path) in self.bans.take_left() {
            let is_in_use = crate::store::layout::ShardName::of_path(&path)
                .is_some_and(|name| lock(&self.index).contains(name.slot, name.sequence));
            if !is_in_use {
                // A failure notes it again.
                self.unlink_uncounted(disk, &path);
            }
        }
    }

    fn settle_again(self: &Arc<Self>, sweep: &mut Sweep) {
        for ban in self.bans.in_force().iter() {
            if ban.is_found_by_keys() && !sweep.seen.contains_key(&ban.number) {
                let put_back = lock(&self.index).put_back_count();
                if !self.settle(ban).is_pending {
                    sweep.seen.insert(ban.number, put_back);
                }
            }
        }
    }

    fn walk(self: &Arc<Self>, sweep: &mut Sweep) {
        let started = self.clock.elapsed();
        let Some(mut walk) = sweep.walk.take().or_else(|| self.begin_walk(sweep)) else {
            return;
        };
        while self.clock.elapsed().saturating_sub(started) < WALK_TIME {
            let (records, next) = lock(&self.index).batch(walk.next, BATCH);
            for record in records {
                walk.is_incomplete |= self.look_at(&walk.bans, &record).is_none();
            }
            match next {
                Some(next) => walk.next = next,
                None => return self.end_walk(sweep, walk),
            }
        }
        sweep.walk = Some(walk);
    }

    fn begin_walk(&self, sweep: &Sweep) -> Option<Walk> {
        let bans = self.bans.in_force();
        let unseen = bans
            .iter()
            .filter(|ban| !ban.is_found_by_keys() && !sweep.seen.contains_key(&ban.number));
        let bans: Vec<Arc<Ban>> = unseen.cloned().collect();
        let put_back = lock(&self.index).put_back_count();
        (!bans.is_empty()).then_some(Walk {
            bans,
            next: 0,
            put_back,
            is_incomplete: false,
        })
    }

    fn end_walk(&self, sweep: &mut Sweep, walk: Walk) {
        if walk.is_incomplete {
            return; // the next pass begins anew
        }
        for ban in walk.bans {
            sweep.seen.insert(ban.number, walk.put_back);
        }
    }

    /// Carries out what the bans say of one object; `None` when that must be tried again.
    fn look_at(self: &Arc<Self>, bans: &[Arc<Ban>], record: &Record) -> Option<()> {
        let older = |ban: &&Arc<Ban>| record.sequence < ban.sequence;
        if !bans.iter().any(|ban| older(&ban)) {
            return Some(());
        }
        if record.is_beyond_repair() {
            // Nobody knows what it was.
            return self.remove_banned(&record.name()).map(drop);
        }
        let head = self.stored_head(record)?;
        let Some(head) = head else { return Some(()) };
        let concerned = bans.iter().filter(older).filter(|ban| ban.concerns(&head));
        let (hard, soft): (Vec<_>, Vec<_>) =
            concerned.partition(|ban| ban.mode == PurgeMode::Remove);
        // What a hard one covers cannot be opened any more, and so not be marked either.
        for ban in hard.into_iter().chain(soft) {
            self.carry_out(ban, record)?;
        }
        Some(())
    }

    /// The head of an object as it was stored, read without opening the rest; `Some(None)` when the object is gone or
    /// was dropped, `None` when it could not be read for now.
    pub(in crate::store) fn stored_head(&self, record: &Record) -> Option<Option<ObjectHead>> {
        let name = record.name();
        let pool = self.pool_id;
        let indices = 0..name.placement.geometry.disks();
        let is_there = || lock(&self.index).contains(record.slot, record.sequence);
        for index in indices.filter(|index| !record.is_missing(*index)) {
            let shard = name.shard(index);
            let read = move |device: &dyn Device| Ok(Shard::read_head(device, pool, &shard));
            match self.ask_shard(&name, index, read) {
                Some(Ok(head)) => return Some(Some(head)),
                Some(Err(fault)) if is_there() => {
                    self.judge(&name, index, &fault);
                }
                Some(Err(_)) | None => {}
            }
        }
        if is_there() { None } else { Some(None) }
    }

    /// Forgets the bans that nothing is left of.
    fn end_bans(&self, sweep: &mut Sweep) -> Result<(), StoreError> {
        let bans = self.bans.in_force();
        sweep
            .seen
            .retain(|number, _| bans.iter().any(|ban| ban.number == *number));
        // What is half done may put its object back.
        self.await_removals();
        let put_back = lock(&self.index).put_back_count();
        sweep.seen.retain(|_, known| *known == put_back);
        let is_over = |ban: &Ban| sweep.seen.contains_key(&ban.number) && self.is_nothing_left(ban);
        let over: Vec<u64> = bans
            .iter()
            .filter(|ban| is_over(ban))
            .map(|ban| ban.number)
            .collect();
        if over.is_empty() {
            return Ok(());
        }
        // The removals first: without the ban nobody would know what a power loss brings back.
        self.sync_disks()?;
        self.settle_losses()?;
        if self.suspect.load(Ordering::Acquire) {
            return Ok(()); // the system tells of a failure once, and it has told somebody else
        }
        let mut writer = lock(&self.log.writer);
        // Those that came meanwhile have a higher number or are among these.
        let bans = self.bans.in_force();
        let numbers = bans.iter().map(|ban| ban.number);
        let numbers: Vec<u64> = numbers.filter(|number| !over.contains(number)).collect();
        let new = NewRecord {
            kind: SURVIVORS,
            number: writer.take_number(),
            payload: encode_survivors(&numbers),
        };
        let places = writer.append(self, &[new], Sync::Now)?;
        let superseded = places
            .into_iter()
            .next()
            .and_then(|place| self.bans.replace_survivors(place));
        for place in self.bans.end(&over).into_iter().chain(superseded) {
            self.log.release(place);
        }
        Ok(())
    }

    /// Whether no file can turn up that a ban applies to: also none of those that are in no index because most of their
    /// shards are on disks that are out.
    fn is_nothing_left(&self, ban: &Ban) -> bool {
        !self.bans.is_awaited(ban)
            && !self.losses.has_unseen()
            && self.bans.has_left_nothing()
            && !self.replaced.has_older_than(ban.sequence)
    }
}
