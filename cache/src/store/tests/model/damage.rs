//! Bytes that go bad on a disk without anybody being told.

use super::Model;
use super::disks::slot;
use crate::device::memory::MemoryDevice;
use crate::store::layout::ShardName;
use crate::store::tests::{files_in, key};
use rand::Rng;
use rand::seq::IndexedRandom;
use std::sync::Arc;

impl Model {
    /// A shard on some disk is not what was written any more.
    pub(super) fn damage(&mut self) {
        let disk = self.random.random_range(0..self.disks.len());
        let device = Arc::clone(&self.disks[disk].device);
        let files = files_in(&device, "ec/");
        let Some(path) = files.choose(&mut self.random) else {
            return;
        };
        let hurt = match self.random.random_range(0..5) {
            4 => self.swap(&device, path, &files),
            _ => self
                .spoil(&device, path)
                .then(|| path.clone())
                .into_iter()
                .collect(),
        };
        for path in hurt {
            self.note(format!("disk {disk}: {path} is damaged"));
            let Some(name) = ShardName::of_path(&path) else {
                continue;
            };
            for (number, shelf) in (0..).zip(&mut self.shelves) {
                if key(number).short() == name.slot.key {
                    shelf.hurt(slot(disk), Some(name.sequence));
                }
            }
        }
    }

    fn spoil(&mut self, device: &MemoryDevice, path: &str) -> bool {
        let length = device.file_length(path).unwrap_or(0);
        let at = self.random.random_range(0..length.max(1));
        match self.random.random_range(0..4) {
            0..2 => device.flip(path, at),
            2 => device.flip_page(path, at),
            _ => device.write_garbage(path, at, b"garbage".get(..1).unwrap_or_default()),
        }
    }

    /// Two blocks of one disk, each where the other one belongs.
    fn swap(&mut self, device: &MemoryDevice, path: &str, files: &[String]) -> Vec<String> {
        let Some(other) = files.choose(&mut self.random) else {
            return Vec::new();
        };
        let is_done = device.swap_blocks(path, 4096, other, 4096, 4096);
        let both = vec![path.to_owned(), other.clone()];
        if is_done { both } else { Vec::new() }
    }
}
