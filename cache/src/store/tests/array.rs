//! Several disks: what goes in comes out whatever two of them do, and the one that did it is named.
//!
//! Reading order: `round_trip` (healthy disks), `degraded` (gone, dead, damaged), `hang`, `full`, `start` (disks that are
//! missing, swapped, foreign or stale), `returning`, `crash`.

mod crash;
mod degraded;
mod full;
mod hang;
mod returning;
mod round_trip;
mod start;

use super::*;
use crate::device::memory::Survival;
use crate::store::array::disk::{Absence, Standing};
use crate::store::members::Members;
use crate::store::report::DiskSlot;

/// Small bodies: copies where there are more disks than copies.
const SMALL: usize = 5_000;
/// A few stripes and a tail on four disks.
const LARGE: usize = 300_001;

fn settings(parity: u8) -> StoreSettings {
    StoreSettings {
        parity,
        sha256: false,
        ..settings_for_tests()
    }
}

/// Some disks and what is configured for them.
#[derive(Clone)]
struct Rig {
    disks: Vec<Arc<MemoryDevice>>,
    settings: StoreSettings,
}

impl Rig {
    fn new(disks: usize, parity: u8) -> Self {
        Self {
            disks: MemoryDevice::group(disks),
            settings: settings(parity),
        }
    }

    async fn try_open_some(&self, numbers: &[usize]) -> Result<Arc<Store>, OpenError> {
        let devices = numbers
            .iter()
            .map(|number| Arc::clone(&self.disks[*number]) as Arc<dyn Device>);
        let clock = Arc::new(ManualClock::default());
        Store::open_without_timer(devices.collect(), self.settings.clone(), clock).await
    }

    /// Opens the disks with these numbers, in this order.
    async fn open_some(&self, numbers: &[usize]) -> Arc<Store> {
        self.try_open_some(numbers).await.unwrap()
    }

    async fn open(&self) -> Arc<Store> {
        let all: Vec<usize> = (0..self.disks.len()).collect();
        self.open_some(&all).await
    }

    /// The disks as the next process finds them after a kill.
    fn killed(&self) -> Self {
        self.surviving(Survival::Kill)
    }

    fn surviving(&self, survival: Survival) -> Self {
        Self {
            disks: MemoryDevice::survivors(&self.disks, survival),
            settings: self.settings.clone(),
        }
    }

    /// Files of objects on a disk.
    fn objects_on(&self, number: usize) -> Vec<String> {
        files_in(&self.disks[number], "ec/")
    }

    /// Damages every file of an object on a disk, in the middle of its data.
    fn rot(&self, number: usize) {
        for path in self.objects_on(number) {
            let length = self.disks[number].file_length(&path).unwrap();
            assert!(self.disks[number].flip_page(&path, (length / 2).max(4096).min(length - 1)));
        }
    }
}

/// All numbers below `count` without some.
fn without(count: usize, left_out: &[usize]) -> Vec<usize> {
    (0..count)
        .filter(|number| !left_out.contains(number))
        .collect()
}

/// Every choice of two.
fn pairs(count: usize) -> Vec<[usize; 2]> {
    let pairs = (0..count).flat_map(|one| (one + 1..count).map(move |other| [one, other]));
    pairs.collect()
}

/// What a disk is to the store now; by slot, which is the number of the disk where nothing was swapped.
fn standing(store: &Store, number: usize) -> Standing {
    let slot = DiskSlot(u8::try_from(number).unwrap());
    store.core.array.get(slot).unwrap().standing()
}

/// What a client would get, or why nothing.
async fn try_get(store: &Store, number: u8) -> Result<Option<Bytes>, StoreError> {
    match store.lookup(&key(number)).await.into_iter().next() {
        None => Ok(None),
        Some(object) => read_all(&object).await.map(Some),
    }
}

/// One small and one large object for each of some numbers: what they hold.
async fn fill_both(store: &Store, numbers: std::ops::Range<u8>) -> Vec<(u8, Bytes)> {
    let mut filled = Vec::new();
    for number in numbers {
        let length = if number % 2 == 0 { SMALL } else { LARGE };
        let bytes = body(number.into(), length + usize::from(number));
        fill(store, head(number), &bytes).await.unwrap();
        filled.push((number, bytes));
    }
    filled
}

async fn check_all(store: &Store, filled: &[(u8, Bytes)], case: &str) {
    for (number, bytes) in filled {
        let found = try_get(store, *number).await;
        let found = found.unwrap_or_else(|error| panic!("{case}: {number}: {error}"));
        assert!(
            found.as_ref() == Some(bytes),
            "{case}: {number}: {:?}",
            found.map(|bytes| bytes.len())
        );
    }
}
