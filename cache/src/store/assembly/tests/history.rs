//! Random histories of a pool: runs on some of its disks, disks that are lost, return and are replaced, epochs that a
//! crash lets reach only some. What really happened is kept beside the superblocks, and every start is compared.

use super::*;
use crate::store::superblock::EpochMark;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// What happens during a run. Numbers are taken modulo what there is to choose from.
#[derive(Debug, Clone)]
enum Event {
    Lose(usize),
    /// A disk is lost, and the machine dies when the new epoch has reached so many disks.
    LoseAndDie(usize, usize),
    Return(usize),
    Replace(usize),
}

#[derive(Debug, Clone)]
struct Run {
    /// Bits by number of the disk.
    present: u16,
    /// By how much the order of folders is turned.
    turned: usize,
    /// The machine dies when the first epoch of the run has reached so many disks.
    dies_at: Option<usize>,
    rejoins: bool,
    events: Vec<Event>,
}

/// An epoch as it really was.
#[derive(Debug)]
struct Epoch {
    history: Vec<EpochMark>,
    /// Disks that were in it together.
    holders: BTreeSet<usize>,
    slots: usize,
}

struct World {
    /// All disks there ever were, in and out of the table.
    disks: Vec<Superblock>,
    /// What each has lived through, without a bound.
    histories: Vec<Vec<EpochMark>>,
    epochs: Vec<Epoch>,
    live: BTreeSet<usize>,
    tags: u64,
}

impl World {
    fn new(disks: u8) -> Self {
        let disks: Vec<_> = (0..disks).map(|slot| disk(slot, disks)).collect();
        let start = vec![EpochMark { epoch: 1, tag: 0 }];
        let epoch = Epoch {
            history: start.clone(),
            holders: (0..disks.len()).collect(),
            slots: disks.len(),
        };
        Self {
            histories: vec![start; disks.len()],
            disks,
            epochs: vec![epoch],
            live: BTreeSet::new(),
            tags: 0,
        }
    }

    fn run(&mut self, run: &Run) {
        let mut present: Vec<usize> = (0..self.disks.len())
            .filter(|disk| run.present >> disk & 1 == 1)
            .collect();
        if present.is_empty() {
            return;
        }
        let reference = self.assembled(&present).base;
        let turned = run.turned % present.len();
        present.rotate_left(turned);
        let pool = self.assembled(&present);
        assert_eq!(pool.base, reference, "the order of folders does not count");
        self.compare(&pool, &present);
        let current = |place: &(DiskSlot, Place)| match place.1 {
            Place::Current(found) => Some(present[found]),
            _ => None,
        };
        self.live = pool.places.iter().filter_map(current).collect();
        if self.live.len() < pool.places.len() && !self.begin_epoch(run.dies_at) {
            return;
        }
        if run.rejoins {
            present.iter().for_each(|disk| self.rejoin(*disk));
        }
        for event in &run.events {
            if self.live.is_empty() || !self.happens(event) {
                return;
            }
        }
    }

    /// `false`: the machine died.
    fn happens(&mut self, event: &Event) -> bool {
        match *event {
            Event::Lose(disk) => self.lose(disk, None),
            Event::LoseAndDie(disk, reached) => self.lose(disk, Some(reached)),
            Event::Return(disk) => {
                self.rejoin(disk % self.disks.len());
                true
            }
            Event::Replace(slot) => {
                self.replace(slot);
                true
            }
        }
    }

    fn lose(&mut self, disk: usize, dies_at: Option<usize>) -> bool {
        let lost = *self.live.iter().nth(disk % self.live.len()).unwrap();
        self.live.remove(&lost);
        !self.live.is_empty() && self.begin_epoch(dies_at)
    }

    /// A new epoch on all live disks, or on the first so many; `false` then.
    fn begin_epoch(&mut self, dies_at: Option<usize>) -> bool {
        self.tags += 1;
        let reached = dies_at.map_or(self.live.len(), |at| at % self.live.len());
        let holders: BTreeSet<usize> = self.live.iter().copied().take(reached).collect();
        for disk in &holders {
            self.disks[*disk].begin_epoch(self.tags, Members::EMPTY);
            let mark = self.disks[*disk].lineage.newest();
            self.histories[*disk].push(mark);
        }
        if let Some(first) = holders.first() {
            self.epochs.push(Epoch {
                history: self.histories[*first].clone(),
                slots: usize::from(self.disks[*first].disks),
                holders,
            });
        }
        dies_at.is_none()
    }

    /// A disk that is back gets the present epoch, unless it knows better than those that are live.
    fn rejoin(&mut self, disk: usize) {
        let first = *self.live.first().unwrap();
        let mut present: Vec<usize> = self.live.iter().copied().collect();
        present.push(disk);
        let pool = self.assembled(&present);
        let is_behind = pool.base.lineage == self.disks[first].lineage;
        let slot = pool.base.slot_of(&self.disks[disk].disk);
        let (Some(slot), true, false) = (slot, is_behind, self.live.contains(&disk)) else {
            return;
        };
        self.compare(&pool, &present);
        let returned = &self.disks[disk];
        self.disks[disk] = pool.base.on_disk(slot, returned.disk, returned.writes + 1);
        self.adopt(disk);
    }

    fn adopt(&mut self, disk: usize) {
        let history = self.histories[*self.live.first().unwrap()].clone();
        let present = self
            .epochs
            .iter_mut()
            .find(|epoch| epoch.history == history);
        present.unwrap().holders.insert(disk);
        self.histories[disk] = history;
        self.live.insert(disk);
    }

    /// A new disk takes the place of one that is out: only while most of the slots are live.
    fn replace(&mut self, slot: usize) {
        let leader = self.disks[*self.live.first().unwrap()].clone();
        let slot = slot % leader.slots.len();
        let is_live = |disk: &&usize| usize::from(self.disks[**disk].slot) == slot;
        let is_vital = self.live.iter().any(|disk| is_live(&disk));
        if is_vital || 2 * self.live.len() <= leader.slots.len() || self.disks.len() == 14 {
            return;
        }
        let number = self.disks.len();
        let disk = uuid(u8::try_from(number).unwrap());
        for live in &self.live {
            self.disks[*live].slots[slot] = Some(disk);
        }
        assert!(self.begin_epoch(None));
        let leader = &self.disks[*self.live.first().unwrap()];
        let slot = DiskSlot(u8::try_from(slot).unwrap());
        self.disks.push(leader.on_disk(slot, disk, 0));
        self.histories.push(Vec::new());
        self.adopt(number);
    }

    fn assembled(&self, present: &[usize]) -> Assembled {
        let stored = present.iter().map(|disk| self.disks[*disk].encode());
        let read: Vec<_> = stored
            .map(|bytes| Superblock::decode(&bytes).unwrap())
            .collect();
        pool(&ours(&read))
    }

    /// Compares a decision with what really happened.
    fn compare(&self, pool: &Assembled, present: &[usize]) {
        let first = pool.places.iter().find_map(|(_, place)| match place {
            Place::Current(found) => Some(present[*found]),
            _ => None,
        });
        let history = &self.histories[first.expect("a base has at least one disk")];
        let supersedes =
            |other: &[EpochMark]| other.len() > history.len() && other.starts_with(history);
        for disk in present {
            assert!(
                !supersedes(&self.histories[*disk]),
                "disk {disk} knows more"
            );
        }
        for (slot, place) in &pool.places {
            match *place {
                Place::Current(found) => assert_eq!(&self.histories[present[found]], history),
                Place::Stale { found, common } => {
                    let shared = history.iter().zip(&self.histories[present[found]]);
                    let last = shared.take_while(|(one, other)| one == other).last();
                    assert_eq!(
                        common,
                        last.map_or(0, |(mark, _)| mark.epoch),
                        "slot {slot}"
                    );
                }
                Place::Missing => {}
            }
        }
        if pool.has_majority {
            let most = |epoch: &&Epoch| 2 * epoch.holders.len() > epoch.slots;
            let later = self.epochs.iter().filter(most);
            let superseding = later
                .map(|epoch| &epoch.history)
                .find(|other| supersedes(other));
            assert_eq!(
                superseding, None,
                "most of the disks have seen a later epoch"
            );
        }
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => any::<usize>().prop_map(Event::Lose),
        1 => any::<(usize, usize)>().prop_map(|(disk, at)| Event::LoseAndDie(disk, at)),
        3 => any::<usize>().prop_map(Event::Return),
        1 => any::<usize>().prop_map(Event::Replace),
    ]
}

fn run() -> impl Strategy<Value = Run> {
    let dies_at = proptest::option::weighted(0.2, any::<usize>());
    let events = proptest::collection::vec(event(), 0..5);
    (any::<u16>(), any::<usize>(), dies_at, any::<bool>(), events).prop_map(
        |(present, turned, dies_at, rejoins, events)| Run {
            present,
            turned,
            dies_at,
            rejoins,
            events,
        },
    )
}

proptest! {
    #[test]
    fn no_start_takes_what_was_superseded_or_misjudges_what_is_shared(
        disks in 1_u8..8,
        runs in proptest::collection::vec(run(), 1..12),
    ) {
        let mut world = World::new(disks);
        for run in &runs {
            world.run(run);
        }
    }

    #[test]
    fn whatever_superblocks_say_the_start_is_decided(
        disks in proptest::collection::vec(wild(), 1..8),
        configured: u8,
    ) {
        let found = ours(&disks);
        let Ok(Assembly::Pool(pool)) = assemble(&found, configured) else {
            panic!("there is a pool")
        };
        let taken: BTreeSet<usize> = pool.taken().collect();
        prop_assert_eq!(taken.len(), pool.taken().count());
        prop_assert_eq!(taken.len() + pool.strangers.len(), disks.len());
        prop_assert!(pool.places.iter().any(|(_, place)| matches!(place, Place::Current(_))));
    }
}

prop_compose! {
    /// A disk that may be read, of some pool, in some slot, with some table, of some epochs.
    fn wild()(
        pool in 0_u8..2,
        slot in 0_u8..4,
        table in proptest::collection::vec(proptest::option::of(1_u8..9), 4),
        tags in proptest::collection::vec(0_u64..3, 0..4),
        (writes, reserved, synced, clean, retiring) in any::<(u64, u64, u64, bool, u64)>(),
    ) -> Superblock {
        let mut seen = BTreeSet::new();
        let mut slots: Vec<_> = table.into_iter().map(|disk| disk.filter(|disk| seen.insert(*disk))).collect();
        let own = slots[usize::from(slot)].get_or_insert(20 + slot).to_owned();
        let slots: Vec<_> = slots.iter().map(|disk| disk.map(|disk| [disk; 16])).collect();
        let disks = u16::try_from(slots.iter().flatten().count()).unwrap();
        let disk = Superblock {
            pool: [pool; 16], disk: [own; 16], disks, slots, writes, reserved, synced, clean, ..disk(slot, 4)
        };
        let disk = Superblock { retiring: Members(retiring), ..lived(disk, &tags) };
        Superblock::decode(&disk.encode()).unwrap()
    }
}
