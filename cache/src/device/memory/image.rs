//! One state of a memory disk, the changes that lead to the next one, and which of them a power loss keeps.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Data survives a power loss in pieces of this size, bytes.
pub(super) const PAGE_BYTES: usize = 4096;

/// Names and contents. Contents outlive their names: files stay open.
#[derive(Debug, Clone, Default)]
pub(super) struct Image {
    pub(super) folders: BTreeSet<String>,
    pub(super) names: BTreeMap<String, u64>,
    pub(super) contents: BTreeMap<u64, Vec<u8>>,
    pub(super) reserved: BTreeMap<u64, u64>,
}

/// One change.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Write {
        inode: u64,
        offset: u64,
        bytes: Vec<u8>,
    },
    SetLength {
        inode: u64,
        length: u64,
    },
    Link {
        path: String,
        inode: u64,
    },
    Rename {
        from: String,
        to: String,
        inode: u64,
    },
    Unlink {
        path: String,
        inode: u64,
    },
    Folder {
        path: String,
    },
}

impl Change {
    pub(super) fn apply(&self, image: &mut Image) {
        match self {
            Self::Write {
                inode,
                offset,
                bytes,
            } => image.write(*inode, *offset, bytes),
            Self::SetLength { inode, length } => {
                let length = usize::try_from(*length).unwrap_or(usize::MAX);
                image.contents.entry(*inode).or_default().resize(length, 0);
            }
            Self::Link { path, inode } => image.link(path, *inode),
            Self::Rename { from, to, inode } => {
                image.unlink(from, *inode);
                image.link(to, *inode);
            }
            Self::Unlink { path, inode } => image.unlink(path, *inode),
            Self::Folder { path } => {
                image.folders.insert(path.clone());
            }
        }
    }

    pub(super) fn touches_folder(&self, folder: &str) -> bool {
        match self {
            Self::Link { path, .. } | Self::Unlink { path, .. } | Self::Folder { path } => {
                parent(path) == folder
            }
            Self::Rename { from, to, .. } => parent(from) == folder || parent(to) == folder,
            Self::Write { .. } | Self::SetLength { .. } => false,
        }
    }

    pub(super) fn is_data_of(&self, file: u64) -> bool {
        match self {
            Self::Write { inode, .. } | Self::SetLength { inode, .. } => *inode == file,
            Self::Link { .. } | Self::Rename { .. } | Self::Unlink { .. } | Self::Folder { .. } => {
                false
            }
        }
    }

    /// The parts of a change that reach the platter independently of each other.
    fn pieces(&self) -> Vec<Self> {
        let Self::Write {
            inode,
            offset,
            bytes,
        } = self
        else {
            return vec![self.clone()];
        };
        let mut pieces = Vec::new();
        let mut position = *offset;
        for page in bytes.chunks(PAGE_BYTES) {
            pieces.push(Self::Write {
                inode: *inode,
                offset: position,
                bytes: page.to_vec(),
            });
            position += page.len() as u64;
        }
        pieces
    }
}

impl Image {
    pub(super) fn next_inode(&self) -> u64 {
        self.contents
            .keys()
            .chain(self.names.values())
            .max()
            .copied()
            .unwrap_or(0)
    }

    pub(super) fn content(&self, path: &str) -> Option<&Vec<u8>> {
        self.names
            .get(path)
            .and_then(|inode| self.contents.get(inode))
    }

    pub(super) fn path_of(&self, inode: u64) -> Option<String> {
        self.names
            .iter()
            .find(|(_, named)| **named == inode)
            .map(|(path, _)| path.clone())
    }

    /// Bytes written to a file, holes included.
    pub(super) fn length(&self, inode: u64) -> u64 {
        self.contents
            .get(&inode)
            .map_or(0, |bytes| bytes.len() as u64)
    }

    /// Bytes a file takes, reserved ones included.
    pub(super) fn stored_bytes(&self, inode: u64) -> u64 {
        self.length(inode)
            .max(self.reserved.get(&inode).copied().unwrap_or(0))
    }

    /// Bytes of all named files but one (0: of all).
    pub(super) fn used_bytes_without(&self, inode: u64) -> u64 {
        self.names
            .values()
            .filter(|named| **named != inode)
            .map(|named| self.stored_bytes(*named))
            .sum()
    }

    /// Names of files and folders directly in `folder`.
    pub(super) fn children(&self, folder: &str) -> Vec<String> {
        let inside = self.names.keys().chain(self.folders.iter());
        inside
            .filter(|path| parent(path) == folder)
            .map(|path| path.rsplit('/').next().unwrap_or(path).to_owned())
            .collect()
    }

    /// As [`Self::write`], but only where there are bytes already.
    pub(super) fn overwrite(&mut self, inode: u64, offset: u64, bytes: &[u8]) {
        let Some(content) = self.contents.get_mut(&inode) else {
            return;
        };
        let there = usize::try_from(offset)
            .ok()
            .and_then(|at| content.get_mut(at..));
        for (slot, byte) in there.into_iter().flatten().zip(bytes) {
            *slot = *byte;
        }
    }

    /// This (durable) image plus a random part of what was not synced. The seed also chooses the mood: names
    /// without data (as ext4 was measured to do), data without names, or anything.
    pub(super) fn after_power_loss(&self, pending: &[Change], seed: u64) -> Self {
        let mut random = Random(seed);
        let (names_kept, data_kept) = match seed % 4 {
            0 => (100, 0),
            1 => (10, 100),
            2 => (90, 60),
            _ => (50, 50),
        };
        let mut image = self.clone();
        image.reserved.clear();
        for piece in pending.iter().flat_map(Change::pieces) {
            let chance = match piece {
                Change::Write { .. } | Change::SetLength { .. } => data_kept,
                _ => names_kept,
            };
            if random.percent() < chance {
                piece.apply(&mut image);
            }
        }
        image.drop_orphans();
        image
    }

    /// A file whose folder did not survive is gone, and so is content without a name.
    fn drop_orphans(&mut self) {
        let folders = self.folders.clone();
        self.names
            .retain(|path, _| parent(path).is_empty() || folders.contains(parent(path)));
        let named: BTreeSet<u64> = self.names.values().copied().collect();
        self.contents.retain(|inode, _| named.contains(inode));
    }

    fn link(&mut self, path: &str, inode: u64) {
        self.names.insert(path.to_owned(), inode);
        self.contents.entry(inode).or_default();
    }

    fn unlink(&mut self, path: &str, inode: u64) {
        if self.names.get(path) == Some(&inode) {
            self.names.remove(path);
        }
    }

    fn write(&mut self, inode: u64, offset: u64, bytes: &[u8]) {
        let content = self.contents.entry(inode).or_default();
        let Some(target) = range(offset, bytes.len()) else {
            return;
        };
        if content.len() < target.end {
            content.resize(target.end, 0);
        }
        if let Some(slot) = content.get_mut(target) {
            slot.copy_from_slice(bytes);
        }
    }
}

/// `offset..offset + length` as indices.
pub(super) fn range(offset: u64, length: usize) -> Option<Range<usize>> {
    let start = usize::try_from(offset).ok()?;
    Some(start..start.checked_add(length)?)
}

/// The seed of the `number`-th of several disks that lose power at once: each has its own luck.
pub(super) fn seed_of(seed: u64, number: usize) -> u64 {
    let mut random = Random(seed);
    (0..number).fold(seed, |_, _| random.next())
}

/// The folder part of a path; empty at the root.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// SplitMix64 (public domain constants by S. Vigna): small, seeded, good enough to choose survivors.
struct Random(u64);

impl Random {
    fn percent(&mut self) -> u64 {
        self.next() % 100
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
