//! What a small object would cost in append-only packs: the least that a store of them has to do, and no more.
//!
//! ```text
//! pack:   record, record, …                      64 MiB, one open for writing on each disk
//! record: head 512 (magic, number, length, checksum, then what a header says) | data | footer 256, in whole 512 bytes
//! index:  object → pack and offset of each copy, 8 bytes each
//! ```
//! A put is one write for each copy. An object that is evicted is forgotten by the index; its bytes come free when its
//! pack is compacted: the living records are read, verified and appended elsewhere. With half of a pack dead, each
//! record that comes in costs one that is copied.
//!
//! A compaction reads dead records along with the living ones, which costs packs something at 64 KiB and helps them
//! at 1 KiB. Deliberately absent, all of it in favor of packs: checksums of heads, the log of what is dead, syncing before a pack is
//! removed, readers of packs that are being removed, a disk that is out.

use super::hands::Hands;
use super::measure::{self, Outcome};
use super::records::{self, COPIES};
use bytes::Bytes;
use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use weir_cache::device::file::FileDevice;
use weir_cache::ports::{Device, DeviceFile};

const HEAD_BYTES: usize = 512;
const FOOTER_BYTES: usize = 256;
/// Records begin at multiples of this.
const ALIGNMENT_BYTES: usize = 512;
const PACK_BYTES: u64 = 64 * 1024 * 1024;
/// What a compaction and a recovery read and write at once.
const CHUNK_BYTES: usize = 1024 * 1024;

/// Where one copy is.
#[derive(Clone, Copy, Default)]
struct Place {
    pack: u32,
    /// In units of the alignment.
    offset: u32,
}

/// Packs of all disks.
pub(crate) struct Packs {
    folders: Vec<PathBuf>,
    disks: Arc<Vec<Mutex<PackDisk>>>,
    index: HashMap<u64, [Place; COPIES]>,
}

struct PackDisk {
    device: FileDevice,
    /// By number; those that were compacted are gone.
    packs: Vec<Option<Arc<dyn DeviceFile>>>,
    /// Of the last pack.
    end: u64,
}

impl PackDisk {
    /// Appends to the last pack, or to a new one.
    fn append(&mut self, buffers: &[IoSlice<'_>], bytes: u64) -> io::Result<Place> {
        if self.packs.is_empty() || self.end + bytes > PACK_BYTES {
            let file = self
                .device
                .create(&format!("{:08x}.pk", self.packs.len()))?;
            self.packs.push(Some(file));
            self.end = 0;
        }
        let last = self.packs.len() - 1;
        let file = self.packs.get(last).and_then(Option::as_ref);
        let file = file.ok_or(io::ErrorKind::NotFound)?;
        file.write_all_at(buffers, self.end)?;
        let place = Place {
            pack: number(last)?,
            offset: number(self.end / ALIGNMENT_BYTES as u64)?,
        };
        self.end += bytes;
        Ok(place)
    }

    fn read(&self, place: Place, from: usize, buffer: &mut [u8]) -> Outcome<()> {
        let pack = self.packs.get(place.pack as usize).and_then(Option::as_ref);
        let offset = u64::from(place.offset) * ALIGNMENT_BYTES as u64;
        let pack = pack.ok_or("there is no such pack")?;
        Ok(pack.read_exact_at(buffer, offset + from as u64)?)
    }
}

impl Packs {
    pub(crate) fn new(root: &Path, disks: usize) -> Outcome<Self> {
        let folders = measure::folders(root, disks)?;
        let disk = |folder: &PathBuf| {
            Mutex::new(PackDisk {
                device: FileDevice::new(folder),
                packs: Vec::new(),
                end: 0,
            })
        };
        Ok(Self {
            disks: Arc::new(folders.iter().map(disk).collect()),
            folders,
            index: HashMap::new(),
        })
    }

    pub(crate) fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    pub(crate) fn put(&mut self, number: u64, body: &Bytes, sum: u64) -> Outcome<()> {
        let record = Record::new(number, body.clone(), sum);
        let mut places = [Place::default(); COPIES];
        let disks = records::places_of(number, self.disks.len());
        for (place, disk) in places.iter_mut().zip(disks) {
            *place = record.append(&self.disks, disk)?;
        }
        self.index.insert(number, places);
        Ok(())
    }

    /// As [`Self::put`], each copy on its disk's thread.
    pub(crate) fn put_by(
        &mut self,
        hands: &Hands,
        number: u64,
        body: &Bytes,
        sum: u64,
    ) -> Outcome<()> {
        let record = Arc::new(Record::new(number, body.clone(), sum));
        let places = Arc::new(Mutex::new(Vec::with_capacity(COPIES)));
        hands.each(records::places_of(number, self.disks.len()), |disk| {
            let (record, disks) = (Arc::clone(&record), Arc::clone(&self.disks));
            let places = Arc::clone(&places);
            move || {
                let place = record.append(&disks, disk)?;
                lock(&places).push((disk, place));
                Ok(())
            }
        })?;
        let mut found = [Place::default(); COPIES];
        let disks = records::places_of(number, self.disks.len());
        for (place, disk) in found.iter_mut().zip(disks) {
            let appended = lock(&places);
            let appended = appended.iter().find(|(other, _)| *other == disk);
            *place = appended.ok_or("a copy has no place")?.1;
        }
        self.index.insert(number, found);
        Ok(())
    }

    /// Reads the whole record: nothing is known of it but its place.
    pub(crate) fn get_cold(&self, number: u64, length: usize) -> Outcome<()> {
        let mut record = vec![0; record_bytes(length)];
        self.read(number, 0, &mut record)?;
        let (found, found_length, sum) = parsed(&record).ok_or("no record")?;
        let data = record.get(HEAD_BYTES..HEAD_BYTES + found_length);
        if found != number {
            return Err("the record of another object".into());
        }
        records::verify(data.unwrap_or_default(), sum)
    }

    /// Reads and verifies the data: head and checksum are in memory.
    pub(crate) fn get_warm(&self, number: u64, length: usize, sum: u64) -> Outcome<()> {
        let mut data = vec![0; length];
        self.read(number, HEAD_BYTES, &mut data)?;
        records::verify(&data, sum)
    }

    fn read(&self, number: u64, from: usize, buffer: &mut [u8]) -> Outcome<()> {
        let places = self.index.get(&number).ok_or("no such object")?;
        let first = records::places_of(number, self.disks.len())
            .zip(places)
            .next();
        let (disk, place) = first.ok_or("there is no disk")?;
        let disk = self.disks.get(disk).ok_or("there is no such disk")?;
        lock(disk).read(*place, from, buffer)
    }

    pub(crate) fn evict(&mut self, number: u64) {
        self.index.remove(&number);
    }

    /// Copies what lives in all packs to new ones and removes the old ones; how many objects it has copied.
    pub(crate) fn compact(&mut self) -> Outcome<usize> {
        let mut copied = 0;
        let count = self.disks.len();
        for (number, disk) in self.disks.iter().enumerate() {
            let disk = &mut *lock(disk);
            let old = disk.packs.len();
            disk.end = PACK_BYTES;
            let mut pending = Vec::with_capacity(CHUNK_BYTES);
            let mut moved: Vec<u64> = Vec::new();
            for pack in 0..old {
                let file = disk.packs.get(pack).cloned().flatten();
                let Some(file) = file else { continue };
                walk(file.as_ref(), |object, data_sum, record| {
                    if !self.index.contains_key(&object) {
                        return Ok(());
                    }
                    let (_, length, _) = parsed(record).ok_or("no record")?;
                    let data = record.get(HEAD_BYTES..HEAD_BYTES + length);
                    records::verify(data.unwrap_or_default(), data_sum)?;
                    if pending.len() + record.len() > CHUNK_BYTES {
                        settle(
                            disk,
                            &mut pending,
                            &mut moved,
                            &mut self.index,
                            (number, count),
                        )?;
                    }
                    pending.extend_from_slice(record);
                    moved.push(object);
                    copied += 1;
                    Ok(())
                })?;
            }
            settle(
                disk,
                &mut pending,
                &mut moved,
                &mut self.index,
                (number, count),
            )?;
            for (pack, file) in disk.packs.iter_mut().take(old).enumerate() {
                if file.take().is_some() {
                    disk.device.unlink(&format!("{pack:08x}.pk"))?;
                }
            }
        }
        Ok(copied / COPIES)
    }

    /// Reads the heads of all records, as a start without a checkpoint; how many there are.
    pub(crate) fn recover(&self) -> Outcome<usize> {
        let mut found = 0;
        let mut head = [0; HEAD_BYTES];
        let disks = self.disks.iter();
        let packs = disks.flat_map(|disk| lock(disk).packs.clone());
        for pack in packs.flatten() {
            let mut offset = 0;
            while pack.read_exact_at(&mut head, offset).is_ok()
                && let Some((number, length, _)) = parsed(&head)
            {
                std::hint::black_box(number);
                offset += record_bytes(length) as u64;
                found += 1;
            }
        }
        Ok(found)
    }
}

/// One record, as it stands in a pack.
struct Record {
    head: Vec<u8>,
    body: Bytes,
    rest: Vec<u8>,
}

impl Record {
    fn new(number: u64, body: Bytes, sum: u64) -> Self {
        Self {
            head: head(number, body.len(), sum),
            rest: vec![2; record_bytes(body.len()) - HEAD_BYTES - body.len()],
            body,
        }
    }

    fn append(&self, disks: &[Mutex<PackDisk>], disk: usize) -> io::Result<Place> {
        let disk = disks.get(disk).ok_or(io::ErrorKind::NotFound)?;
        let parts = [&self.head, self.body.as_ref(), &self.rest];
        let bytes = record_bytes(self.body.len()) as u64;
        lock(disk).append(&parts.map(IoSlice::new), bytes)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn number(value: impl TryInto<u32>) -> io::Result<u32> {
    value
        .try_into()
        .map_err(|_| io::ErrorKind::FileTooLarge.into())
}

/// Appends what was collected and notes where each record is now.
fn settle(
    disk: &mut PackDisk,
    pending: &mut Vec<u8>,
    moved: &mut Vec<u64>,
    index: &mut HashMap<u64, [Place; COPIES]>,
    (number, disks): (usize, usize),
) -> Outcome<()> {
    if pending.is_empty() {
        return Ok(());
    }
    let mut place = disk.append(&[IoSlice::new(pending)], pending.len() as u64)?;
    let each = pending.len() / moved.len().max(1) / ALIGNMENT_BYTES;
    for object in moved.drain(..) {
        let copies = records::places_of(object, disks);
        let known = index.get_mut(&object).into_iter().flatten();
        for (known, _) in known.zip(copies).filter(|(_, disk)| *disk == number) {
            *known = place;
        }
        place.offset += u32::try_from(each)?;
    }
    pending.clear();
    Ok(())
}

/// Reads a pack from its beginning in chunks, and shows each record: object, checksum, bytes.
fn walk(
    pack: &dyn DeviceFile,
    mut show: impl FnMut(u64, u64, &[u8]) -> Outcome<()>,
) -> Outcome<()> {
    let (length, mut offset) = (pack.length()?, 0);
    let mut chunk = Vec::new();
    while offset < length {
        let bytes = (length - offset).min(CHUNK_BYTES as u64);
        chunk.resize(usize::try_from(bytes)?, 0);
        pack.read_exact_at(&mut chunk, offset)?;
        let mut at = 0;
        while let Some(rest) = chunk.get(at..)
            && let Some((number, data, sum)) = parsed(rest)
            && let Some(record) = rest.get(..record_bytes(data))
        {
            show(number, sum, record)?;
            at += record.len();
        }
        if at == 0 {
            return Ok(());
        }
        offset += at as u64;
    }
    Ok(())
}

fn record_bytes(length: usize) -> usize {
    (HEAD_BYTES + length + FOOTER_BYTES).next_multiple_of(ALIGNMENT_BYTES)
}

fn head(number: u64, length: usize, sum: u64) -> Vec<u8> {
    let mut head = vec![1; HEAD_BYTES];
    let words = [MAGIC, number, length as u64, sum];
    for (place, word) in head.chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    head
}

const MAGIC: u64 = 0x4b43_4150_5249_4557;

/// Object, length and checksum of the record that begins here.
fn parsed(bytes: &[u8]) -> Option<(u64, usize, u64)> {
    let mut words = bytes.get(..32)?.chunks_exact(8);
    let mut word = || Some(u64::from_le_bytes(words.next()?.try_into().ok()?));
    let (magic, number, length, sum) = (word()?, word()?, word()?, word()?);
    (magic == MAGIC).then_some((number, usize::try_from(length).ok()?, sum))
}
