//! What happens to the store in one step, besides objects that come in.

use super::book::Shelf;
use super::check::{Extent, id_of};
use super::disks::{Disk, Trouble, slot};
use super::writes::{tag, url};
use super::{KEYS, Model};
use crate::metrics::EvictionCause;
use crate::object::Amendment;
use crate::store::core::lock;
use crate::store::report::ScrubDepth;
use crate::store::tests::{CLOSE, key, maintain};
use rand::Rng;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use weir_policies::key::CacheKey;
use weir_policies::purge::{PurgeMode, PurgeScope};
use weir_policies::target::Target;

impl Model {
    pub(super) async fn step(&mut self) {
        self.look_around();
        self.note_pressure();
        let number = self.random.random_range(0..KEYS);
        match self.random.random_range(0..220) {
            0..64 => self.put().await,
            64..110 => self.look(number, Extent::Whole).await,
            110..133 => self.look(number, Extent::Range).await,
            133..139 => self.read_held().await,
            139..142 => self.evict().await,
            142..145 => self.forget(number).await,
            145..150 => self.purge_one(number).await,
            150..157 => self.amend(number).await,
            157..174 => self.pass().await,
            174..181 => self.damage(),
            181..187 => self.strike().await,
            187..196 => self.heal_disks(0.6),
            196..200 => self.replace().await,
            200..209 => self.mend().await,
            _ => self.end().await,
        }
        self.note_pressure();
        self.check_live();
    }

    /// A disk without room makes place for whatever comes.
    fn note_pressure(&mut self) {
        if self.disks.iter().any(|disk| disk.trouble == Trouble::Full) {
            self.shelves.iter_mut().for_each(Shelf::evict);
        }
    }

    /// Room is made.
    pub(super) async fn evict(&mut self) {
        let core = Arc::clone(&self.store().core);
        let before = self.indexed();
        let evict = move || core.evict(EvictionCause::Watermark, None, 1);
        self.store()
            .core
            .on_pool("evict", evict)
            .await
            .expect("a pool");
        let after = self.indexed();
        let gone: Vec<u8> = before
            .into_iter()
            .filter(|key| !after.contains(key))
            .collect();
        self.note(format!("evicted {gone:?}"));
        assert!(
            gone.len() < 2 || self.has_reason(),
            "one at a time: {gone:?}"
        );
        for number in gone {
            self.shelf_mut(number).evict();
        }
        if self.has_crashed() {
            // One of them may have lost a part of its files.
            self.shelves.iter_mut().for_each(Shelf::let_go);
        }
    }

    fn indexed(&self) -> Vec<u8> {
        let index = lock(&self.store().core.index);
        let is_there = |number: &u8| !index.find(key(*number).short()).is_empty();
        (0..KEYS).filter(is_there).collect()
    }

    pub(super) async fn forget(&mut self, number: u8) {
        self.note(format!("key {number}: forgotten"));
        self.store().forget(&key(number)).await;
        let is_heard = self.disks.iter().any(Disk::is_well) && !self.has_crashed();
        let shelf = self.shelf_mut(number);
        if is_heard {
            shelf.forget();
        }
        shelf.let_go();
    }

    /// Somebody wants a key gone or asked about, or more than that.
    pub(super) async fn purge_one(&mut self, number: u8) {
        let mode = if self.random.random_bool(0.6) {
            PurgeMode::Remove
        } else {
            PurgeMode::Stale
        };
        let same_folder = |other: u8| (other < KEYS / 2) == (number < KEYS / 2);
        let keys: Vec<CacheKey> = vec![key(number)];
        let (scope, keys, covered): (_, _, Vec<u8>) = match self.random.random_range(0..16) {
            0 => {
                let folder = url(number);
                let folder = folder.rsplit_once('/').map_or("", |(folder, _)| folder);
                let scope = PurgeScope::prefix(&format!("{folder}/")).expect("a prefix");
                let covered = (0..KEYS).filter(|other| same_folder(*other));
                (scope, Vec::new(), covered.collect())
            }
            1 => {
                let scope = PurgeScope::tag(tag(number)).expect("a tag");
                let covered = (0..KEYS).filter(|other| tag(*other) == tag(number));
                (scope, Vec::new(), covered.collect())
            }
            _ => {
                let target = Target::parse(&url(number)).expect("a URL");
                (PurgeScope::url(&target), keys, vec![number])
            }
        };
        let banned = self.store().ban(&scope, mode, &keys).await;
        self.note(format!("purged {covered:?} {mode:?}: {:?}", banned.is_ok()));
        for number in covered {
            match &banned {
                Ok(banned) if banned.is_known_to_few => {
                    self.shelf_mut(number).purge_among_few(mode);
                }
                Ok(_) => self.shelf_mut(number).purge(mode),
                Err(_) => self.shelf_mut(number).let_go(),
            }
        }
        assert!(banned.is_ok() || self.has_reason(), "{banned:?}");
        if banned.is_ok_and(|banned| banned.is_known_to_few) {
            self.live_among_few();
        }
    }

    /// Its origin has confirmed what is stored, or somebody wants to keep it.
    async fn amend(&mut self, number: u8) {
        let Some(object) = self.store().lookup(&key(number)).await.into_iter().next() else {
            return;
        };
        let id = id_of(&object);
        let is_current = self
            .shelf_mut(number)
            .newest()
            .is_some_and(|one| one.id == id);
        if !is_current {
            return; // its origin would send another one
        }
        let pinned = self.random.random_bool(0.3);
        let amendment = Amendment {
            invalidated: false,
            pinned,
            ..Amendment::of(object.head())
        };
        self.note(format!("key {number}: {id} amended, pinned {pinned}"));
        let amended = self.store().amend(&object, amendment).await;
        assert!(amended.is_ok() || self.has_reason(), "{amended:?}");
        if let Some(generation) = self.shelf_mut(number).get_mut(id) {
            generation.must_be_stale = false;
            generation.asked = true;
        }
    }

    /// What happens every few seconds.
    pub(super) async fn pass(&mut self) {
        self.disks.iter_mut().for_each(Disk::stop_hanging);
        // Long enough to try again to take a disk back.
        self.clock.advance(Duration::from_secs(700));
        maintain(self.store()).await;
        self.settle().await;
        self.look_around();
        let core = Arc::clone(&self.store().core);
        let is_synced = !core.suspect.load(Ordering::Acquire)
            && !core.unsynced.load(Ordering::Acquire)
            && !self.has_crashed();
        let unreliable = self.unreliable();
        let live = core.array.live().difference(unreliable);
        self.note(format!("maintained, synced {is_synced}"));
        if unreliable.is_empty() && !self.has_crashed() && !core.suspect.load(Ordering::Acquire) {
            // What could not be removed is gone now.
            self.shelves
                .iter_mut()
                .for_each(|shelf| shelf.has_clung = false);
        }
        if is_synced {
            for shelf in &mut self.shelves {
                shelf.sync(live);
            }
        }
    }

    /// A disk that is out makes place for an empty one.
    async fn replace(&mut self) {
        let live = self.store().core.array.live();
        let out = (0..self.disks.len()).find(|number| !live.contains(slot(*number)));
        let Some(number) = out.filter(|_| self.disks.len() > 1) else {
            return;
        };
        self.next_disk += 1;
        let name = format!("memory-{}", self.next_disk);
        let device = self.disks[number].device.another(&name);
        let taken = self
            .store()
            .replace_disk(slot(number), Arc::clone(&device) as _);
        let taken = taken.await;
        self.note(format!("disk {number}: replaced, {taken:?}"));
        if taken.is_ok() {
            // Whoever still waits for the old one.
            self.disks[number].device.die();
            self.disks[number].device.release();
            self.disks[number].device = device;
            self.disks[number].trouble = Trouble::None;
            self.disks[number].is_excused = true;
            for shelf in &mut self.shelves {
                shelf.hurt(slot(number), None);
            }
        }
    }

    /// Waits for what was begun in the background.
    async fn settle(&self) {
        let core = Arc::clone(&self.store().core);
        let settle = move || core.pool.drain(CLOSE);
        let settled = tokio::task::spawn_blocking(settle).await;
        assert!(settled.expect("no panic"), "it works for ever");
    }

    /// Everything is read, and what is missing is computed and written.
    pub(super) async fn mend(&mut self) {
        self.note("mended".to_owned());
        self.pass().await;
        let core = Arc::clone(&self.store().core);
        let mend = move || {
            core.scrub_now(ScrubDepth::Blocks);
            core.repair_now();
        };
        tokio::task::spawn_blocking(mend).await.expect("no panic");
        self.look_at_all().await;
        if self.unreliable().is_empty() && !self.is_doubting {
            self.check_mended().await;
        }
    }
}
