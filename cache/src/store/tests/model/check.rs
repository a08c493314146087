//! The judge: what a lookup finds, against the book.

use super::book::{Generation, Standing, bytes_of};
use super::{KEYS, Model, VERSION};
use crate::store::array::disk::Standing as DiskStanding;
use crate::store::core::lock;
use crate::store::layout::ShardName;
use crate::store::members::Members;
use crate::store::shard::Shard;
use crate::store::tests::{files_in, key};
use crate::store::{Object, UNIT_BYTES};
use rand::Rng;
use std::sync::Arc;

/// The generation that an object says it is.
pub(super) fn id_of(object: &Object) -> u32 {
    let id = object.head().headers.get(VERSION);
    let id = id.and_then(|id| id.to_str().ok()).expect("a version");
    id.parse().expect("a number")
}

/// How much of an object is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    Whole,
    Range,
}

impl Model {
    /// Every key is asked for.
    pub(super) async fn look_at_all(&mut self) {
        for number in 0..KEYS {
            self.look(number, Extent::Whole).await;
        }
    }

    pub(super) async fn look(&mut self, number: u8, extent: Extent) {
        let is_required = self.shelf(number).is_required(self.out());
        let found = self.store().lookup(&key(number)).await;
        assert!(found.len() < 2, "key {number}: {} variants", found.len());
        self.tally.lookups += 1;
        self.tally.required += u64::from(is_required);
        let Some(object) = found.into_iter().next() else {
            if is_required {
                let (out, last, files) = (self.out(), self.last(number), self.files(number));
                panic!("key {number}: lost: out {out:?}, {last:#?} {files:#?}");
            }
            if self.unreliable().is_empty() && !self.is_doubting {
                self.shelf_mut(number).settle_on_nothing();
            }
            return;
        };
        let id = id_of(&object);
        self.judge(number, &object);
        let is_read = match extent {
            Extent::Whole => self.read_whole(number, &object).await,
            Extent::Range => self.read_range(number, &object).await,
        };
        match is_read {
            Ok(()) => {
                self.tally.hits += 1;
                self.learn(number, id, &object, extent);
            }
            Err(error) => {
                let why = format!("{:#?} out {:?}", self.last(number), self.out());
                assert!(!is_required, "key {number}: unreadable: {error}: {why}");
            }
        }
    }

    /// What the disks have of a key, and whether that is whole.
    fn files(&self, number: u8) -> Vec<String> {
        let core = &self.store().core;
        let mut files = Vec::new();
        for (disk, on) in self
            .disks
            .iter()
            .enumerate()
            .filter(|(_, on)| on.is_usable())
        {
            let names = files_in(&on.device, "ec/").into_iter();
            let names = names.filter_map(|path| ShardName::of_path(&path));
            for name in names.filter(|name| name.slot.key == key(number).short()) {
                let opened = Shard::open(on.device.as_ref(), core.pool_id, name);
                let whole = opened.and_then(|opened| opened.shard.verify_all());
                let (sequence, index) = (name.sequence.0, name.index);
                files.push(format!("disk {disk}: {sequence:x}-{index} {whole:?}"));
            }
        }
        let records = lock(&core.index).find(key(number).short());
        files.push(format!("index: {records:?}"));
        files
    }

    fn last(&self, number: u8) -> Vec<Generation> {
        let generations = self.shelf(number).generations.iter();
        let mut last: Vec<_> = generations.rev().take(4).cloned().collect();
        last.reverse();
        last
    }

    /// Whether this generation may be found, as it was found.
    fn judge(&self, number: u8, object: &Object) {
        let id = id_of(object);
        let is_stale = object.head().invalidated;
        let generation = self.shelf(number).get(id);
        let generation = generation.unwrap_or_else(|| panic!("key {number}: {id} is another's"));
        let failing = |why: &str| {
            format!(
                "key {number}: {why} (stale {is_stale}, sequence {:x}): {generation:#?} {:#?} {:#?}",
                object.sequence().0,
                self.last(number),
                self.files(number)
            )
        };
        assert_eq!(
            object.length(),
            generation.length as u64,
            "{}",
            failing("its length")
        );
        assert!(
            generation.standing != Standing::Unseen,
            "{}",
            failing("it was never committed")
        );
        let doubted = self.is_doubting && object.sequence() < self.started;
        if doubted {
            let asked = is_stale || generation.asked;
            return assert!(asked, "{}", failing("nobody can know that it still counts"));
        }
        match generation.standing {
            Standing::Possible => {
                let marked = is_stale || !generation.must_be_stale;
                assert!(marked, "{}", failing("softly purged and not marked"));
            }
            Standing::Unseen => {}
            Standing::Replaced => panic!("{}", failing("it was replaced")),
            Standing::Forgotten => panic!("{}", failing("it was forgotten")),
            Standing::Purged => assert!(
                is_stale && self.has_ever_diverged,
                "{}",
                failing("it was purged")
            ),
        }
    }

    async fn read_whole(&mut self, number: u8, object: &Object) -> Result<(), String> {
        let expected = bytes_of(id_of(object), object.length() as usize);
        let mut at = 0;
        while at < expected.len() {
            let length = (expected.len() - at).min(UNIT_BYTES as usize);
            let read = object.read(at as u64, length).await;
            let read = read.map_err(|error| error.to_string())?;
            let is_right = read == expected[at..at + length];
            assert!(
                is_right,
                "key {number}: wrong bytes in the {length} at {at}"
            );
            at += length;
        }
        Ok(())
    }

    async fn read_range(&mut self, number: u8, object: &Object) -> Result<(), String> {
        if object.length() == 0 {
            return Ok(());
        }
        let start = self.random.random_range(0..object.length());
        let unit_end = (start / UNIT_BYTES + 1) * UNIT_BYTES;
        let left = object.length().min(unit_end) - start;
        let length = self.random.random_range(0..=left) as usize;
        let read = object.read(start, length).await;
        let read = read.map_err(|error| error.to_string())?;
        let expected = bytes_of(id_of(object), object.length() as usize);
        let at = start as usize;
        let is_right = read == expected[at..at + length];
        assert!(
            is_right,
            "key {number}: wrong bytes in the {length} at {start}"
        );
        Ok(())
    }

    /// What an answer settles.
    fn learn(&mut self, number: u8, id: u32, object: &Arc<Object>, extent: Extent) {
        let all_there = self.unreliable().is_empty();
        let is_whole = all_there && extent == Extent::Whole && self.is_all_there(object);
        let is_doubting = self.is_doubting;
        let members = object.name().placement.members;
        let shelf = self.shelf_mut(number);
        let Some(generation) = shelf.get_mut(id) else {
            return;
        };
        generation.sequence = Some(object.sequence());
        let may_stay = generation.standing == Standing::Possible;
        let tolerance = object.name().placement.geometry.parity_shards();
        shelf.learn_members(id, members, tolerance);
        if all_there && !is_doubting && may_stay {
            shelf.settle_on(id);
            if is_whole {
                shelf.heal(id, members);
            }
        }
    }

    /// Whether each file of an object is on its disk and whole, and the store knows.
    fn is_all_there(&self, object: &Object) -> bool {
        let name = *object.name();
        let core = &self.store().core;
        let missing = lock(&core.index).missing(name.slot, name.sequence);
        missing == Some(0)
            && name.shards().all(|(disk, shard)| {
                let there = core.array.get(disk);
                let is_live = there.is_some_and(|disk| disk.standing() == DiskStanding::Live);
                let device = &self.disks[usize::from(disk.0)].device;
                let opened = Shard::open(device.as_ref(), core.pool_id, shard);
                is_live && opened.and_then(|opened| opened.shard.verify_all()).is_ok()
            })
    }

    /// Of what can be computed nothing is missing, and nothing is damaged.
    pub(super) async fn check_mended(&self) {
        for number in 0..KEYS {
            if !self.shelf(number).is_required(Members::EMPTY) {
                continue;
            }
            let found = self.store().lookup(&key(number)).await;
            let object = found.first().expect("it was found just now");
            let shown = self.last(number);
            assert!(
                self.is_all_there(object),
                "key {number}: not mended: {shown:#?}"
            );
        }
    }

    /// What somebody holds open is that generation's, whatever became of it.
    pub(super) async fn read_held(&mut self) {
        let Some((number, object)) = self.held.pop() else {
            return;
        };
        // It may well be unreadable by now.
        drop(self.read_whole(number, &object).await);
        if self.random.random_bool(0.5) {
            self.held.push((number, object));
        }
    }
}
