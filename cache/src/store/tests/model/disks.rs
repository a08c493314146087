//! The disks of the model: what is wrong with each of them, and what the next start finds.

use super::Model;
use crate::device::memory::{Fault, MemoryDevice, Operation, Survival};
use crate::ports::Device;
use crate::store::array::disk::Absence;
use crate::store::members::Members;
use crate::store::report::DiskSlot;
use rand::Rng;
use rand::seq::IteratorRandom;
use std::sync::Arc;

/// The widest pool of the model.
pub(super) const DISKS_MAX: usize = 13;

/// What is wrong with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    None,
    Removed,
    Dead,
    Hung,
    ReadOnly,
    Full,
    /// Files cannot be removed.
    Clinging,
}

/// One disk.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) device: Arc<MemoryDevice>,
    pub(super) trouble: Trouble,
    /// It had trouble since the store was opened, so the store may do without it.
    pub(super) is_excused: bool,
}

impl Disk {
    pub(super) fn new(device: Arc<MemoryDevice>) -> Self {
        Self {
            device,
            trouble: Trouble::None,
            is_excused: false,
        }
    }

    /// Nothing is wrong with it: whatever is read from it is what is there.
    pub(super) fn is_well(&self) -> bool {
        self.trouble == Trouble::None
    }

    /// Lets go of what the disk does to others: a fault that a start would find again is put on again by the model.
    fn cure(&mut self) {
        self.device.restore();
        self.device.release();
        self.device.clear_faults();
        self.device.limit_bytes(1 << 40);
        if self.trouble != Trouble::ReadOnly {
            self.trouble = Trouble::None;
        }
    }

    /// What waits for it goes on, with an error.
    pub(super) fn stop_hanging(&mut self) {
        if self.trouble == Trouble::Hung {
            self.device.remove();
            self.device.release();
            self.trouble = Trouble::Removed;
        }
    }

    /// A start can read it and write to it.
    pub(super) fn is_usable(&self) -> bool {
        matches!(
            self.trouble,
            Trouble::None | Trouble::Full | Trouble::Clinging
        )
    }

    fn suffer(&mut self) {
        match self.trouble {
            Trouble::None => {}
            Trouble::Removed => self.device.remove(),
            Trouble::Dead => self.device.die(),
            Trouble::Hung => self.device.hang(),
            Trouble::ReadOnly => self.device.remount_read_only(),
            Trouble::Full => {
                let used = self.device.paths().into_iter();
                let used = used.filter_map(|path| self.device.file_length(&path));
                self.device.limit_bytes(used.sum::<u64>() + 40_000);
            }
            Trouble::Clinging => self.device.add_fault(Fault {
                operation: Operation::Unlink,
                path_contains: "ec/".to_owned(),
                errno: libc::EIO,
                times: 1000,
            }),
        }
        self.is_excused |= !self.is_well();
    }
}

pub(super) fn slot(number: usize) -> DiskSlot {
    DiskSlot(u8::try_from(number).expect("few disks"))
}

impl Model {
    /// Disks that nothing may be expected of: with trouble of their own, or left out by the store.
    pub(super) fn out(&self) -> Members {
        let here = self.store().core.array.live();
        let numbered = self.disks.iter().enumerate();
        let out =
            numbered.filter(|(number, disk)| !disk.is_usable() || !here.contains(slot(*number)));
        out.map(|(number, _)| slot(number)).collect()
    }

    /// Disks that may not take what is written now.
    pub(super) fn unreliable(&self) -> Members {
        let here = self.store().core.array.live();
        let numbered = self.disks.iter().enumerate();
        numbered
            .filter(|(number, disk)| !disk.is_well() || !here.contains(slot(*number)))
            .map(|(number, _)| slot(number))
            .collect()
    }

    pub(super) fn troubled(&self) -> usize {
        self.disks.iter().filter(|disk| !disk.is_well()).count()
    }

    /// No disk is out that nothing happened to.
    pub(super) fn check_live(&self) {
        let live = self.store().core.array.live();
        for (number, disk) in self.disks.iter().enumerate() {
            let is_live = live.contains(slot(number));
            assert!(
                is_live || disk.is_excused,
                "disk {number} is out, and nothing happened to it"
            );
        }
    }

    /// Something happens to a disk.
    pub(super) async fn strike(&mut self) {
        let live = self.store().core.array.live();
        let most = match self.disks.len() {
            1 => 1,
            disks if self.random.random_bool(0.15) => (self.parity + 1).min(disks - 1),
            disks => self.parity.min(disks - 1),
        };
        let well = self.disks.iter().enumerate();
        let well = well.filter(|(number, disk)| disk.is_well() && live.contains(slot(*number)));
        let well: Vec<usize> = well.map(|(number, _)| number).collect();
        let out = self.unreliable().len();
        if usize::from(out) >= most || (well.len() < 2 && self.disks.len() > 1) {
            return;
        }
        let Some(number) = well.into_iter().choose(&mut self.random) else {
            return;
        };
        let trouble = match self.random.random_range(0..11) {
            0..3 => Trouble::Removed,
            3..6 => Trouble::Dead,
            6..8 if self.disks.len() > 1 && usize::from(out) < self.parity => Trouble::Hung,
            6..9 => Trouble::ReadOnly,
            9 => Trouble::Clinging,
            _ => Trouble::Full,
        };
        self.note(format!("disk {number}: {trouble:?}"));
        self.disks[number].trouble = trouble;
        self.disks[number].suffer();
        self.bear(number).await;
    }

    /// What the book has to know of it.
    async fn bear(&mut self, number: usize) {
        let is_only = self.disks.len() == 1;
        for shelf in &mut self.shelves {
            match self.disks[number].trouble {
                // Whatever is read meanwhile counts as damaged.
                Trouble::Dead => shelf.hurt(slot(number), None),
                Trouble::Full => shelf.evict(),
                Trouble::Clinging => shelf.has_clung = true,
                _ => {}
            }
            if is_only {
                shelf.let_go();
                // Nobody can be told that it is to be compared with others: what is removed now may stay.
                shelf.has_clung = true;
            }
        }
        if self.disks[number].trouble == Trouble::Hung {
            self.give_up_on(number).await;
        }
    }

    /// Something is on its way to a disk that hangs until it is given up.
    async fn give_up_on(&mut self, number: usize) {
        let core = Arc::clone(&self.store().core);
        let waiting = Arc::clone(&core);
        let stuck = std::thread::spawn(move || {
            let device = waiting.array.get(slot(number)).expect("a disk");
            let call = |device: &dyn Device| device.space();
            device.ask(call).is_err()
        });
        assert!(self.disks[number].device.wait_until_hanging(1));
        assert!(
            core.lose(slot(number), Absence::Hung, "it hangs"),
            "the others can do without it"
        );
        assert!(stuck.join().expect("no panic"), "nobody waits for it");
    }

    /// Disks that had trouble are well again, some or all of them. The store is not told.
    pub(super) fn heal_disks(&mut self, chance: f64) {
        for (number, disk) in self.disks.iter_mut().enumerate() {
            if !disk.is_well() && self.random.random_bool(chance) {
                disk.cure();
                if disk.is_well() {
                    self.notes.push_back(format!("disk {number}: well again"));
                }
            }
        }
    }

    /// The disks as the next process finds them.
    pub(super) fn survive(&mut self, survival: Survival) {
        for disk in &mut self.disks {
            if disk.trouble == Trouble::Hung {
                // A start waits for it long enough to see that it is not there.
                disk.trouble = Trouble::Removed;
            }
        }
        let before = self.disks.iter().map(|disk| Arc::clone(&disk.device));
        let before: Vec<_> = before.collect();
        let after = MemoryDevice::survivors(&before, survival);
        for device in before {
            device.release();
        }
        for (disk, device) in self.disks.iter_mut().zip(after) {
            disk.device = device;
            if disk.trouble == Trouble::ReadOnly && self.random.random_bool(0.7) {
                disk.trouble = Trouble::None;
            }
        }
    }

    /// Other disks than before are absent from the next start, sometimes; never all of them.
    pub(super) fn leave_some_out(&mut self) {
        let count = self.disks.len();
        if count > 1 && self.random.random_bool(0.15) {
            // Mostly so few that the others are sure of what they have: who doubts promises nothing.
            let most = match self.random.random_bool(0.7) {
                true => self.parity.min((count - 1) / 2),
                false => self.parity.min(count - 1),
            };
            let change = self.random.random_range(0..=most);
            for _ in 0..change {
                let number = self.random.random_range(0..count);
                let well = self.disks.iter().filter(|disk| disk.is_well()).count();
                if self.disks[number].is_well() && well > 1 {
                    self.note(format!("disk {number}: absent"));
                    self.disks[number].trouble = Trouble::Removed;
                }
            }
        }
        if !self.disks.iter().any(Disk::is_well) {
            // After a crash nothing is wrong with it but what is put on it again.
            self.disks[0].trouble = Trouble::None;
        }
    }

    /// Puts on again what was wrong, before a start.
    pub(super) fn suffer_all(&mut self) {
        for disk in &mut self.disks {
            disk.is_excused = false;
            disk.suffer();
        }
    }
}
