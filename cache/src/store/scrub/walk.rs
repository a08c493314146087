//! One disk, from a folder to the last: every file that the index knows on it is read and compared with its checksums.
//!
//! The folders are read as the disk lists them, sixteen at a time beside what the index says should be there. So a file
//! that is gone is found as well, and one that nobody knows is counted.
//!
//! What has been read is believed only to the end of the folder: that is what survives a restart.

use super::super::array::disk::Disk;
use super::super::core::{Core, lock};
use super::super::index::Record;
use super::super::judge::Judged;
use super::super::layout::{OBJECTS, ObjectName, ShardName};
use super::super::members::Members;
use super::super::report::{DiskSlot, ScrubDepth};
use super::super::shard::{OpenedShard, Shard, ShardFault};
use super::control::{Control, Interrupted, Order};
use super::course::FOLDERS;
use super::pace::Pace;
use super::pass::BATCH;
use crate::ports::Device;
use std::io;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Folders whose files are taken from the index together: a walk through all of it is not made for each folder.
const GROUP: u16 = 16;
/// Bytes per read.
pub(super) const STEP_BYTES: u64 = 1024 * 1024;
/// What opening a file counts as, bytes: a few small reads, each at another place of the disk.
const FRAME_BYTES: u64 = 16 * 1024;
/// Between two notes on the disk of where it is.
const SAVE_INTERVAL: Duration = Duration::from_secs(10);
/// Files that are looked at once more at the end; those beyond count as unread.
const AGAIN_MAX: usize = 256;

/// The folder of a key.
pub(super) fn folder_of(key: u128) -> u16 {
    u16::try_from(key >> 116).unwrap_or(FOLDERS)
}

/// See the module.
pub(super) struct Walk {
    core: Weak<Core>,
    pub(super) control: Arc<Control>,
    disk: Arc<Disk>,
    pub(super) device: Arc<dyn Device>,
    pub(super) order: Order,
    pace: Pace,
    again: Vec<(ObjectName, u8)>,
}

/// What the index says of a file.
enum Known {
    /// Nothing.
    Stray,
    /// That it is not to be used.
    Missing,
    /// That it should be there.
    Here(Record),
}

impl Walk {
    /// `None` when there is nothing to read from.
    pub(super) fn new(core: &Arc<Core>, disk: &Arc<Disk>, order: Order) -> Option<Self> {
        let device = Arc::clone(disk.device()?);
        let rate = core.settings.scrub_bytes_per_second;
        Some(Self {
            core: Arc::downgrade(core),
            control: Arc::clone(&core.scrubbing.control),
            disk: Arc::clone(disk),
            device,
            order,
            pace: Pace::new(rate, core.clock.elapsed()),
            again: Vec::new(),
        })
    }

    pub(super) fn slot(&self) -> DiskSlot {
        self.disk.slot
    }

    /// Reads the disk to its end, or until it is interrupted or the disk goes out.
    pub(super) fn run(mut self) {
        let begin = self.control.folder(self.slot());
        // An interruption says nothing that whoever interrupts does not know.
        self.walk(begin).ok();
    }

    fn walk(&mut self, begin: u16) -> Result<(), Interrupted> {
        let mut expected = Vec::new();
        for folder in begin..FOLDERS {
            if folder == begin || folder % GROUP == 0 {
                let until = (folder / GROUP + 1).saturating_mul(GROUP);
                expected = self.expected(folder, until)?;
            }
            self.read_folder(folder, &expected)?;
            self.control
                .finish_folder(self.slot(), folder, self.order.change)?;
            self.save_now_and_then()?;
        }
        self.look_again()
    }

    /// The store, as long as there is one that wants this pass and relies on this disk.
    pub(super) fn core(&self) -> Result<Arc<Core>, Interrupted> {
        let core = self.core.upgrade().ok_or(Interrupted)?;
        let is_wanted = self.control.order() == Some(self.order);
        match is_wanted && self.disk.is_live() {
            true => Ok(core),
            false => Err(Interrupted),
        }
    }

    /// What should be on this disk in some folders.
    fn expected(&self, from: u16, until: u16) -> Result<Vec<ShardName>, Interrupted> {
        let core = self.core()?;
        let mut expected = Vec::new();
        let mut next = Some(0);
        while let Some(place) = next {
            let (records, behind) = lock(&core.index).batch(place, BATCH);
            let wanted = records
                .iter()
                .filter(|record| (from..until).contains(&folder_of(record.slot.key)))
                .filter(|record| record.present_on().contains(self.slot()));
            expected.extend(wanted.filter_map(|record| {
                let index = record.placement.members.index_of(self.slot())?;
                Some(record.name().shard(index))
            }));
            next = behind;
        }
        Ok(expected)
    }

    fn read_folder(&mut self, folder: u16, expected: &[ShardName]) -> Result<(), Interrupted> {
        let core = self.core()?;
        let path = format!("{OBJECTS}/{folder:03x}");
        let mut names = match self.device.read_dir(&path) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                core.count_disk_error(self.slot());
                let disk = &self.disk.name;
                tracing::warn!(disk, path, %error, "the scrub cannot read a folder");
                Vec::new()
            }
        };
        names.sort_unstable();
        let expected = expected
            .iter()
            .filter(|name| folder_of(name.slot.key) == folder)
            .filter(|name| names.binary_search(&name.file_name()).is_err());
        let gone: Vec<ShardName> = expected.copied().collect();
        for name in &names {
            match ShardName::of_path(&format!("{path}/{name}")) {
                Some(name) => self.read_known(&name)?,
                None => self.control.note(|found| found.stray_files += 1),
            }
        }
        // It may have come back, or gone for good: the index knows.
        gone.iter().try_for_each(|name| self.read_known(name))
    }

    fn read_known(&mut self, name: &ShardName) -> Result<(), Interrupted> {
        let core = self.core()?;
        match self.known(&core, name) {
            Known::Here(record) => {
                self.read_object(&core, &record, name.index)?;
                self.control.count_file(self.slot(), self.order.change);
            }
            Known::Stray => self.control.note(|found| found.stray_files += 1),
            Known::Missing => {}
        }
        Ok(())
    }

    fn known(&self, core: &Core, name: &ShardName) -> Known {
        let records = lock(&core.index).find(name.slot.key);
        let record = records.into_iter().find(|record| {
            let placement = record.placement;
            record.slot == name.slot
                && record.sequence == name.sequence
                && record.length == name.length
                && placement.geometry == name.geometry
                && placement.members.index_of(self.slot()) == Some(name.index)
        });
        match record {
            Some(record) if record.is_missing(name.index) => Known::Missing,
            Some(record) => Known::Here(record),
            // Between the listing and now.
            None if !self.is_there(name) => Known::Missing,
            None => Known::Stray,
        }
    }

    /// Whether a file that nobody knows is still there.
    fn is_there(&self, name: &ShardName) -> bool {
        self.device.open_unbuffered(&name.path()).is_ok()
    }

    fn read_object(
        &mut self,
        core: &Arc<Core>,
        record: &Record,
        index: u8,
    ) -> Result<(), Interrupted> {
        if self.order.depth == ScrubDepth::Parity && self.compare(core, record, index)? {
            return Ok(());
        }
        let name = record.name();
        match self.read_shard(core, &name, index)? {
            Ok(()) => {
                self.disk.note_read(true);
                Ok(())
            }
            Err(fault) => self.blame(core, &name, index, fault),
        }
    }

    /// Reads all of a file of this disk.
    fn read_shard(
        &mut self,
        core: &Arc<Core>,
        name: &ObjectName,
        index: u8,
    ) -> Result<Result<(), ShardFault>, Interrupted> {
        let device = Arc::clone(&self.device);
        let shard = match self.open(core, device.as_ref(), name.shard(index))? {
            Ok(opened) => opened.shard,
            Err(fault) => return Ok(Err(fault)),
        };
        let (mut offset, end) = (0, shard.name.data_bytes());
        while offset < end {
            let bytes = STEP_BYTES.min(end - offset);
            self.allow(core, bytes)?;
            if let Err(fault) = shard.read(offset, usize::try_from(bytes).unwrap_or(usize::MAX)) {
                return Ok(Err(fault));
            }
            offset += bytes;
        }
        Ok(Ok(()))
    }

    /// Opens a file past the page cache, and checks its frame.
    pub(super) fn open(
        &mut self,
        core: &Arc<Core>,
        device: &dyn Device,
        name: ShardName,
    ) -> Result<Result<OpenedShard, ShardFault>, Interrupted> {
        self.allow(core, FRAME_BYTES)?;
        let opened = device
            .open_unbuffered(&name.path())
            .map_err(ShardFault::from)
            .and_then(|file| Shard::of_file(file, core.pool_id, name));
        Ok(opened)
    }

    /// Waits until so many bytes may be read, and counts them.
    pub(super) fn allow(&mut self, core: &Core, bytes: u64) -> Result<(), Interrupted> {
        let clock = core.clock.as_ref();
        let due = self.pace.take(bytes, clock.elapsed());
        self.control.wait_until(due, self.order.change, clock)?;
        self.control.note(|found| found.read_bytes += bytes);
        Ok(())
    }

    /// What follows from a shard, of whichever disk, that could not be read.
    pub(super) fn blame(
        &mut self,
        core: &Arc<Core>,
        name: &ObjectName,
        index: u8,
        fault: ShardFault,
    ) -> Result<(), Interrupted> {
        if !says_something(core, &fault) {
            if self.again.len() < AGAIN_MAX {
                self.again.push((*name, index));
            } else {
                self.control.note(|found| found.unread_files += 1);
            }
            return Ok(());
        }
        let name = *name;
        let judged = on_coordinator(core, move |core| core.judge_found(&name, index, &fault))?;
        if judged == Judged::Bad {
            self.control.note(|found| found.bad_shards += 1);
        }
        Ok(())
    }

    /// Those of this disk that could not be read for reasons that may have passed.
    fn look_again(&mut self) -> Result<(), Interrupted> {
        for (name, index) in std::mem::take(&mut self.again) {
            let core = self.core()?;
            if name.placement.members.slot_at(index) != Some(self.slot()) {
                continue; // its own disk's walk sees it
            }
            match self.read_shard(&core, &name, index)? {
                Ok(()) => {}
                Err(fault) if says_something(&core, &fault) => {
                    self.blame(&core, &name, index, fault)?;
                }
                Err(_) => self.control.note(|found| found.unread_files += 1),
            }
        }
        Ok(())
    }

    fn save_now_and_then(&self) -> Result<(), Interrupted> {
        let core = self.core()?;
        let unsaved = self.control.unsaved_for(self.slot(), core.clock.as_ref());
        if unsaved >= SAVE_INTERVAL {
            on_coordinator(&core, |core| core.save_scrub())?;
        }
        Ok(())
    }
}

/// Whether a fault is one of the file.
fn says_something(core: &Core, fault: &ShardFault) -> bool {
    let has_no_way =
        matches!(fault, ShardFault::Io(error) if error.kind() == io::ErrorKind::Unsupported);
    !has_no_way && !core.is_passing(fault)
}

/// Runs a job where disks may be changed, and waits for it.
fn on_coordinator<T: Send + 'static>(
    core: &Arc<Core>,
    job: impl FnOnce(&Core) -> T + Send + 'static,
) -> Result<T, Interrupted> {
    let (sender, receiver) = sync_channel(1);
    let working = Arc::clone(core);
    // Nobody listens any more when the store ended meanwhile.
    let run = move || drop(sender.send(job(&working)));
    core.pool.push(run).map_err(|_| Interrupted)?;
    receiver.recv().map_err(|_| Interrupted)
}

impl Core {
    /// Judges a shard that the scrub has found bad, unless somebody else was quicker. Pool only.
    fn judge_found(&self, name: &ObjectName, index: u8, fault: &ShardFault) -> Judged {
        if !self.relies_on(name, index) {
            return Judged::Nothing;
        }
        // Not looked up afterwards: by then it may have been repaired.
        let judged = self.judge(name, index, fault);
        if judged == Judged::Bad {
            // Who has the object open would find the same again, and blame the shard that is written anew.
            self.handles.invalidate(&(name.slot, name.sequence));
        }
        judged
    }

    /// Whether a shard should be there.
    fn relies_on(&self, name: &ObjectName, index: u8) -> bool {
        let missing = lock(&self.index).missing(name.slot, name.sequence);
        let bit = 1_u16.checked_shl(index.into()).unwrap_or(0);
        missing.is_some_and(|missing| missing & bit == 0)
    }

    /// Whether every disk of an object is there.
    pub(super) fn are_live(&self, members: Members) -> bool {
        members.difference(self.array.live()).is_empty()
    }
}
