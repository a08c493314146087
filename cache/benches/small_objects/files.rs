//! The calls that the store makes for a small object, three copies in plain files, without the store: no head to write
//! or parse, no threads, no index.
//!
//! Same calls in the same order as `store/temporary.rs` and `store/shard.rs`.

use super::measure::{self, Outcome};
use super::records::{self, COPIES};
use bytes::Bytes;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use weir_cache::device::file::FileDevice;
use weir_cache::ports::{Device, DeviceFile};

/// In front of the data.
const HEADER_BYTES: usize = 4096;
/// Behind it, at the next page: checksums, digests and trailer.
const FOOTER_BYTES: usize = 230;

/// Disks, and how many objects of which length there are.
pub(crate) struct Files {
    folders: Vec<PathBuf>,
    disks: Vec<FileDevice>,
    header: Vec<u8>,
    footer: Vec<u8>,
}

impl Files {
    pub(crate) fn new(root: &Path, disks: usize) -> Outcome<Self> {
        let folders = measure::folders(root, disks)?;
        let disks: Vec<FileDevice> = folders.iter().map(FileDevice::new).collect();
        for disk in &disks {
            disk.mkdir("tmp")?;
            disk.mkdir("ec")?;
            for folder in measure::object_folders() {
                disk.mkdir(&folder)?;
            }
        }
        Ok(Self {
            folders,
            disks,
            header: vec![1; HEADER_BYTES],
            footer: vec![2; FOOTER_BYTES],
        })
    }

    pub(crate) fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// As a begin, an append and a commit.
    pub(crate) fn put(&self, number: u64, body: &Bytes) -> Outcome<()> {
        let footer_at = self.footer_at(body.len());
        let temporary = format!("tmp/{number:016x}-0.t");
        let mut files: Vec<(&FileDevice, Arc<dyn DeviceFile>)> = Vec::with_capacity(COPIES);
        for disk in self.disks_of(number) {
            let file = disk.create(&temporary)?;
            file.allocate(footer_at + HEADER_BYTES as u64)?;
            file.write_all_at(&[IoSlice::new(&self.header)], 0)?;
            files.push((disk, file));
        }
        for (_, file) in &files {
            file.write_all_at(&[IoSlice::new(body)], HEADER_BYTES as u64)?;
        }
        for (_, file) in &files {
            file.write_all_at(&[IoSlice::new(&self.footer)], footer_at)?;
        }
        for (disk, _) in &files {
            disk.rename(&temporary, &path(number))?;
        }
        Ok(())
    }

    /// One copy, from its beginning to its end.
    pub(crate) fn put_copy(&self, disk: usize, number: u64, body: &Bytes) -> io::Result<()> {
        let disk = self.disks.get(disk).ok_or(io::ErrorKind::NotFound)?;
        let footer_at = self.footer_at(body.len());
        let temporary = format!("tmp/{number:016x}-0.t");
        let file = disk.create(&temporary)?;
        file.allocate(footer_at + HEADER_BYTES as u64)?;
        file.write_all_at(&[IoSlice::new(&self.header)], 0)?;
        file.write_all_at(&[IoSlice::new(body)], HEADER_BYTES as u64)?;
        file.write_all_at(&[IoSlice::new(&self.footer)], footer_at)?;
        disk.rename(&temporary, &path(number))
    }

    /// Opens the first copy as one that nobody has open, then reads and verifies the data.
    pub(crate) fn get_cold(&self, number: u64, length: usize, sum: u64) -> Outcome<()> {
        let file = self.open(number, length)?;
        Self::get_warm(file.as_ref(), length, sum)
    }

    pub(crate) fn open(&self, number: u64, length: usize) -> Outcome<Arc<dyn DeviceFile>> {
        let disk = self.disks_of(number).next();
        let file = disk.ok_or("there is no disk")?.open(&path(number), false)?;
        let mut header = vec![0; HEADER_BYTES];
        file.read_exact_at(&mut header, 0)?;
        let (mut trailer, mut footer) = ([0; 64], vec![0; FOOTER_BYTES - 64]);
        let end = file.length()? - trailer.len() as u64;
        file.read_exact_at(&mut trailer, end)?;
        file.read_exact_at(&mut footer, self.footer_at(length))?;
        std::hint::black_box((header, trailer, footer));
        Ok(file)
    }

    /// Reads and verifies the data.
    pub(crate) fn get_warm(file: &dyn DeviceFile, length: usize, sum: u64) -> Outcome<()> {
        let mut data = vec![0; length];
        file.read_exact_at(&mut data, HEADER_BYTES as u64)?;
        records::verify(&data, sum)
    }

    pub(crate) fn evict(&self, number: u64) -> Outcome<()> {
        for disk in self.disks_of(number) {
            disk.unlink(&path(number))?;
        }
        Ok(())
    }

    /// One copy.
    pub(crate) fn evict_copy(&self, disk: usize, number: u64) -> io::Result<()> {
        let disk = self.disks.get(disk).ok_or(io::ErrorKind::NotFound)?;
        disk.unlink(&path(number))
    }

    fn disks_of(&self, number: u64) -> impl Iterator<Item = &FileDevice> {
        let places = records::places_of(number, self.disks.len());
        places.filter_map(|place| self.disks.get(place))
    }

    fn footer_at(&self, length: usize) -> u64 {
        (self.header.len() + length).next_multiple_of(HEADER_BYTES) as u64
    }
}

/// As long as a real one, in the folder that it would be in.
fn path(number: u64) -> String {
    let key = measure::key(number).short();
    let folder = key >> 116;
    format!(
        "ec/{folder:03x}/{key:032x}-{:016x}-{number:016x}-0206-0-400.s",
        0
    )
}
