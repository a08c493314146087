//! Reading the names on all disks, folder by folder, and choosing among what they say.
//!
//! Per (key, variant) the highest sequence wins of which enough shards were found. Files of older ones go, and so do
//! those of a higher sequence that can never have been committed, because too few of its shards exist anywhere. If it
//! may have been committed, and the disks that would show it are absent, the object is a miss for now and nothing of it
//! is touched.
//!
//! A disk that missed something is believed only as far as the current ones know the same generation.

mod moved;

use super::{Contents, OpenError, Start, absent};
use crate::object::Sequence;
use crate::ports::Device;
use crate::store::array::disk::DiskFault;
use crate::store::index::{Index, Inserted, Record};
use crate::store::layout::{Geometry, OBJECTS, ShardName, Slot};
use crate::store::report::DiskSlot;
use crate::store::sequence::COUNTER_BITS;
use crate::store::shard::Shard;
use crate::store::sync::sync_all;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// One file that was found.
type FoundShard = (DiskSlot, ShardName);

/// All shards of one generation that were found; never none.
#[derive(Debug)]
struct Generation {
    name: ShardName,
    shards: Vec<FoundShard>,
}

impl Generation {
    fn geometry(&self) -> Geometry {
        self.name.geometry
    }

    fn needed(&self) -> usize {
        self.geometry().data_shards().into()
    }
}

impl Start<'_> {
    /// Reads all names.
    pub(super) fn scan(&self, doubt: (u64, u64)) -> Result<Contents, OpenError> {
        let mut scan = Scan {
            start: self,
            stale: self.stale(),
            doubt,
            contents: Contents {
                index: Index::new(),
                highest: 0,
                use_base: 0,
                left: Vec::new(),
                has_unseen: false,
            },
            strange: 0,
            is_synced: false,
        };
        let folders = self.list(OBJECTS)?.into_iter();
        let folders: BTreeSet<String> = folders.flat_map(|(_, names)| names).collect();
        for folder in folders {
            scan.one_folder(&folder)?;
        }
        if scan.strange > 0 {
            tracing::warn!(
                disk = self.array.name(),
                files = scan.strange,
                "files with unknown names or geometry were left alone"
            );
        }
        Ok(scan.contents)
    }

    /// The names in a folder of each disk. One that cannot be read is out.
    fn list(&self, folder: &str) -> Result<Vec<(DiskSlot, Vec<String>)>, OpenError> {
        let jobs = self.array.live().iter().map(|slot| {
            let folder = folder.to_owned();
            (slot, move |device: &dyn Device| names_in(device, &folder))
        });
        let mut listed = Vec::new();
        for (slot, answer) in self.array.on_each(jobs.collect()) {
            let names = self.kept("cannot read the objects", slot, answer)?;
            listed.extend(names.map(|names| (slot, names)));
        }
        Ok(listed)
    }
}

struct Scan<'a> {
    start: &'a Start<'a>,
    stale: BTreeMap<DiskSlot, u64>,
    doubt: (u64, u64),
    contents: Contents,
    strange: u64,
    /// What was found is on the platters.
    is_synced: bool,
}

impl Scan<'_> {
    fn one_folder(&mut self, folder: &str) -> Result<(), OpenError> {
        let path = format!("{OBJECTS}/{folder}");
        let mut contenders: BTreeMap<Slot, Vec<FoundShard>> = BTreeMap::new();
        for (disk, names) in self.start.list(&path)? {
            for file in names {
                match ShardName::parse(&file).filter(|name| is_ours(name, &path)) {
                    Some(name) => contenders.entry(name.slot).or_default().push((disk, name)),
                    None => self.strange += 1,
                }
            }
        }
        for shards in contenders.into_values() {
            if let Some(record) = self.settle(shards) {
                let inserted = self.contents.index.insert(record);
                debug_assert_eq!(inserted, Inserted::New);
            }
        }
        Ok(())
    }

    /// Chooses among the files of one (key, variant) and removes the others.
    fn settle(&mut self, shards: Vec<FoundShard>) -> Option<Record> {
        let generations = self.generations(shards);
        let mut generations = self.with_one_placement(generations);
        generations.sort_by_key(|generation| {
            let name = generation.name;
            Reverse((name.sequence, name.length, name.geometry.0))
        });
        let is_contested = generations.len() > 1;
        let mut winner = None;
        for generation in generations {
            if winner.is_none() {
                let believed = self.believed(&generation, is_contested);
                if self.may_be_elsewhere(&generation, believed.len()) {
                    // It may have been committed: what is older must not stand in for it.
                    self.contents.has_unseen = true;
                    return None;
                }
                winner = self.record(&generation, &believed, is_contested);
                if winner.is_some() {
                    continue;
                }
            }
            self.remove(&generation.shards);
        }
        winner
    }

    /// By generation; what only a stale disk has goes.
    fn generations(&mut self, shards: Vec<FoundShard>) -> Vec<Generation> {
        let mut by_name: BTreeMap<(Sequence, u16, u64), Vec<FoundShard>> = BTreeMap::new();
        for (disk, name) in shards {
            self.contents.highest = self.contents.highest.max(name.sequence.0);
            let generation = (name.sequence, name.geometry.0, name.length);
            by_name.entry(generation).or_default().push((disk, name));
        }
        let mut generations = Vec::new();
        for shards in by_name.into_values() {
            let is_known = shards
                .iter()
                .any(|(disk, _)| !self.stale.contains_key(disk));
            let is_believed = |(disk, name): &FoundShard| {
                let common = self.stale.get(disk);
                common.is_none_or(|common| is_known && name.sequence.0 >> COUNTER_BITS <= *common)
            };
            let (shards, foreign): (Vec<_>, Vec<_>) = shards.into_iter().partition(is_believed);
            self.remove(&foreign);
            if let Some((_, name)) = shards.first() {
                let name = *name;
                generations.push(Generation { name, shards });
            }
        }
        generations
    }

    /// Whether too few shards are here, and enough may be on disks that are not.
    fn may_be_elsewhere(&self, generation: &Generation, believed: usize) -> bool {
        let found = generation.shards.len();
        let lacking = usize::from(generation.geometry().disks()).saturating_sub(found);
        let absent = usize::from(absent(self.start.array).len());
        believed < generation.needed() && believed + lacking.min(absent) >= generation.needed()
    }

    fn is_doubtful(&self, generation: &Generation) -> bool {
        (self.doubt.0..self.doubt.1).contains(&generation.name.sequence.0)
    }

    /// The shards that count: of a contested generation that was perhaps not synced every byte is read.
    fn believed(&self, generation: &Generation, is_contested: bool) -> Vec<FoundShard> {
        let mut believed = generation.shards.clone();
        if is_contested && self.is_doubtful(generation) {
            believed.retain(|(disk, shard)| self.is_whole(*disk, *shard));
        }
        believed
    }

    /// The object, if enough of it is here.
    fn record(
        &self,
        generation: &Generation,
        believed: &[FoundShard],
        is_contested: bool,
    ) -> Option<Record> {
        if believed.len() < generation.needed() {
            return None;
        }
        let unverified = self.is_doubtful(generation) && !is_contested;
        self.record_of(generation.name, believed, unverified)
    }

    fn record_of(
        &self,
        name: ShardName,
        shards: &[FoundShard],
        unverified: bool,
    ) -> Option<Record> {
        let array = self.start.array;
        let found = shards.iter().map(|(disk, name)| (name.index, *disk));
        let found: Vec<(u8, DiskSlot)> = found.collect();
        let record = Record::found(&name, &found, array.slots(), array.live())?;
        Some(Record {
            unverified,
            ..record
        })
    }

    fn is_whole(&self, disk: DiskSlot, name: ShardName) -> bool {
        let pool = self.start.assembled.base.pool;
        let verify = move |device: &dyn Device| {
            Ok(Shard::open(device, pool, name).and_then(|opened| opened.shard.verify_all()))
        };
        matches!(self.start.array.on(disk, verify), Ok(Ok(())))
    }

    /// After a kill the newest may not be on the platter yet: it is before what it has replaced goes.
    fn is_synced(&mut self) -> bool {
        if !self.is_synced {
            let jobs = self.start.array.live().iter();
            let jobs = jobs.map(|slot| (slot, sync_all));
            let answers = self.start.array.on_each(jobs.collect()).into_iter();
            let mut kept = answers.map(|(slot, answer)| {
                let kept = self.start.kept("cannot sync the disk", slot, answer);
                kept.is_ok()
            });
            self.is_synced = kept.all(|kept| kept);
        }
        self.is_synced
    }

    fn remove(&mut self, shards: &[FoundShard]) {
        if shards.is_empty() {
            return;
        }
        if !self.is_synced() {
            let left = shards.iter().map(|(disk, name)| (*disk, name.path()));
            return self.contents.left.extend(left);
        }
        let jobs = shards.iter().map(|(disk, name)| {
            let path = name.path();
            (*disk, move |device: &dyn Device| device.unlink(&path))
        });
        let answers = self.start.array.on_each(jobs.collect());
        for ((disk, name), (_, answer)) in shards.iter().zip(answers) {
            match answer {
                Err(DiskFault::Io(error)) if error.kind() != io::ErrorKind::NotFound => {
                    // A disk that keeps what the others do not know must not become one of them.
                    let what = "cannot remove an outdated object";
                    let answer: Result<(), _> = Err(DiskFault::Io(error));
                    if let Err(error) = self.start.kept(what, *disk, answer) {
                        tracing::warn!(%error, "an outdated object stays for now");
                        self.contents.left.push((*disk, name.path()));
                    }
                }
                Ok(()) | Err(_) => {}
            }
        }
    }
}

/// What a folder of objects holds; nothing where it is not there, or a stray file has taken its place.
fn names_in(device: &dyn Device, path: &str) -> io::Result<Vec<String>> {
    match device.read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            tracing::warn!(
                disk = device.name(),
                path,
                "a file that is not ours was left alone"
            );
            Ok(Vec::new())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    }
}

fn is_ours(name: &ShardName, folder: &str) -> bool {
    name.geometry.is_valid() && name.index < name.geometry.disks() && name.folder() == folder
}
