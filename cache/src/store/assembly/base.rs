//! Whose epoch counts, and what the disks of that epoch agree on.
//!
//! The numbers of a pool are written to all live disks in turn, so a crash leaves some of them newer than others.
//! What is combined here claims no more than every disk does, and hands out nothing that any of them has reserved.

use super::Candidate;
use crate::store::superblock::Superblock;
use std::cmp::Reverse;

/// Disks that have lived through the same epochs.
#[derive(Debug)]
struct Group<'a> {
    /// The one that was written last, whose table of disks counts.
    leader: &'a Superblock,
    members: Vec<&'a Superblock>,
}

/// The superblock that counts for the pool; `None` without disks.
pub(super) fn choose(disks: &[Candidate<'_>]) -> Option<Superblock> {
    let groups = grouped(disks);
    let is_superseded = |group: &Group<'_>| {
        let mark = group.leader.lineage.newest();
        groups
            .iter()
            .any(|other| other.leader.lineage.follows(mark))
    };
    let contenders = groups.iter().filter(|group| !is_superseded(group));
    contenders
        .max_by_key(|group| group.rank())
        .map(Group::combined)
}

fn grouped<'a>(disks: &[Candidate<'a>]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for Candidate { superblock, .. } in disks.iter().copied() {
        let mark = superblock.lineage.newest();
        match groups
            .iter_mut()
            .find(|group| group.leader.lineage.newest() == mark)
        {
            Some(group) => group.add(superblock),
            None => groups.push(Group {
                leader: superblock,
                members: vec![superblock],
            }),
        }
    }
    groups
}

impl<'a> Group<'a> {
    fn add(&mut self, disk: &'a Superblock) {
        let order = |disk: &Superblock| (disk.writes, Reverse(disk.disk));
        if order(disk) > order(self.leader) {
            self.leader = disk;
        }
        self.members.push(disk);
    }

    /// Members that the table of the group knows.
    fn current(&self) -> impl Iterator<Item = &'a Superblock> {
        let is_known = |disk: &&Superblock| self.leader.slot_of(&disk.disk).is_some();
        self.members.iter().copied().filter(is_known)
    }

    /// The higher one counts among groups that have diverged.
    fn rank(&self) -> impl Ord + use<> {
        let present = self.current().count();
        let has_majority = 2 * present > usize::from(self.leader.disks);
        let smallest = self.current().map(|disk| disk.disk).min();
        let writes = self.leader.writes;
        let epoch = self.leader.epoch;
        (has_majority, epoch, present, writes, Reverse(smallest))
    }

    fn combined(&self) -> Superblock {
        let mut base = self.leader.clone();
        let is_same_boot = self.current().all(|disk| disk.boot == base.boot);
        let is_agreed = |disk: &Superblock| disk.clean && disk.reserved == self.leader.reserved;
        base.clean = self.current().all(is_agreed);
        for disk in self.current() {
            base.reserved = base.reserved.max(disk.reserved);
            base.synced = base.synced.min(disk.synced);
            base.log = base.log.min(disk.log);
            base.doubt = united(base.doubt, disk.doubt);
            // It was asked for, whichever of them the crash left without it.
            base.retiring = base.retiring.union(disk.retiring);
        }
        if !is_same_boot && !base.clean {
            // One of them was last written in another life of the machine: what that life left is in doubt, whichever
            // boot id is compared later.
            base.doubt = united(base.doubt, (base.synced, base.reserved));
        }
        base
    }
}

/// The smallest range that covers both; an empty one covers nothing.
fn united(one: (u64, u64), other: (u64, u64)) -> (u64, u64) {
    let is_empty = |range: (u64, u64)| range.0 >= range.1;
    match (is_empty(one), is_empty(other)) {
        (_, true) => one,
        (true, false) => other,
        (false, false) => (one.0.min(other.0), one.1.max(other.1)),
    }
}
