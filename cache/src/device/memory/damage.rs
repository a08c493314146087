//! Bytes that go bad without anybody being told: what a checksum is for.
//!
//! Damage is done to what a process sees and to the platter, and to changes on their way between them, so that no sync
//! heals it. It never makes a file longer.

use super::image::{Change, PAGE_BYTES, range};
use super::{MemoryDevice, State};

impl MemoryDevice {
    /// Flips the lowest bit of one byte. `false`: there is no such byte.
    pub fn flip(&self, path: &str, offset: u64) -> bool {
        self.shared
            .lock()
            .distort(path, offset, 1, |byte| byte ^ 0x01)
    }

    /// Inverts every bit of the 4 KiB page that holds `offset`, or of as much of it as there is. `false`: there is no
    /// such byte.
    pub fn flip_page(&self, path: &str, offset: u64) -> bool {
        let mut state = self.shared.lock();
        let start = offset - offset % PAGE_BYTES as u64;
        let length = state.seen.content(path).map_or(0, |bytes| {
            usize::try_from(start).map_or(0, |start| bytes.len().saturating_sub(start))
        });
        let length = length.min(PAGE_BYTES);
        offset - start < length as u64 && state.distort(path, start, length, |byte| !byte)
    }

    /// Overwrites a part of a file. `false`: the file does not reach so far, and nothing was done.
    pub fn write_garbage(&self, path: &str, offset: u64, bytes: &[u8]) -> bool {
        let mut state = self.shared.lock();
        let is_there = state.part(path, offset, bytes.len()).is_some();
        is_there && state.overwrite(path, offset, bytes)
    }

    /// Two blocks, each written where the other one belongs: what a misdirected write leaves, with all checksums of
    /// the blocks themselves in order. `false`: a file does not reach so far, and nothing was done.
    pub fn swap_blocks(
        &self,
        path_a: &str,
        offset_a: u64,
        path_b: &str,
        offset_b: u64,
        length: usize,
    ) -> bool {
        let mut state = self.shared.lock();
        let parts = (
            state.part(path_a, offset_a, length),
            state.part(path_b, offset_b, length),
        );
        let (Some(a), Some(b)) = parts else {
            return false;
        };
        state.overwrite(path_a, offset_a, &b) && state.overwrite(path_b, offset_b, &a)
    }

    /// Writes a file behind everybody's back.
    pub fn plant(&self, path: &str, bytes: &[u8]) {
        let mut state = self.shared.lock();
        let inode = state.new_inode();
        let State { seen, durable, .. } = &mut *state;
        for image in [seen, durable] {
            image.names.insert(path.to_owned(), inode);
            image.contents.insert(inode, bytes.to_vec());
        }
    }
}

impl State {
    /// `None` when the file is shorter.
    fn part(&self, path: &str, offset: u64, length: usize) -> Option<Vec<u8>> {
        let bytes = self.seen.content(path)?;
        bytes.get(range(offset, length)?).map(<[u8]>::to_vec)
    }

    fn distort(&mut self, path: &str, offset: u64, length: usize, by: fn(u8) -> u8) -> bool {
        let Some(part) = self.part(path, offset, length) else {
            return false;
        };
        let bytes: Vec<u8> = part.into_iter().map(by).collect();
        self.overwrite(path, offset, &bytes)
    }

    fn overwrite(&mut self, path: &str, offset: u64, bytes: &[u8]) -> bool {
        let Some(inode) = self.seen.names.get(path).copied() else {
            return false;
        };
        self.durable.overwrite(inode, offset, bytes);
        let change = Change::Write {
            inode,
            offset,
            bytes: bytes.to_vec(),
        };
        // What is still on its way to the platter would undo the damage there.
        if self.pending.iter().any(|change| change.is_data_of(inode)) {
            self.change(change);
        } else {
            change.apply(&mut self.seen);
        }
        true
    }
}
