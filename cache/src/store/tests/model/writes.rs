//! How objects come in: whole, of known and unknown length, read while they grow, and interrupted.

use super::book::{Stored, bytes_of};
use super::disks::slot;
use super::{KEYS, Model, VERSION};
use crate::object::ObjectHead;
use crate::store::members::Members;
use crate::store::tests::head;
use crate::store::{Durability, Object, ObjectWriter, StoreError, UNIT_BYTES};
use bytes::Bytes;
use http::HeaderValue;
use rand::Rng;
use std::sync::Arc;

/// Nothing, copies, tails of all kinds, whole stripes and several of them.
const LENGTHS: [usize; 14] = [
    0, 1, 300, 4096, 30_000, 65_535, 65_536, 65_537, 70_000, 150_000, 262_144, 400_000, 1_048_576,
    3_000_000,
];

/// What happens while an object is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    Nothing,
    Read,
    Strike,
    Purge,
    Abandon,
    /// A write is acknowledged and never happens.
    Phantom,
}

/// The key's own URL, below one of two folders, with one of two tags.
pub(super) fn url(number: u8) -> String {
    let folder = if number < KEYS / 2 { "a" } else { "b" };
    format!("http://host/{folder}/{number}")
}

pub(super) fn tag(number: u8) -> &'static str {
    if number.is_multiple_of(2) {
        "even"
    } else {
        "odd"
    }
}

fn head_of(number: u8, id: u32) -> ObjectHead {
    let mut head = ObjectHead {
        url: url(number),
        tags: vec![tag(number).to_owned()],
        ..head(number)
    };
    head.headers.insert(VERSION, HeaderValue::from(id));
    head
}

impl Model {
    /// There is something to be found from the start.
    pub(super) async fn stock(&mut self) {
        for number in 0..KEYS {
            let length = LENGTHS[self.random.random_range(0..LENGTHS.len() - 3)];
            self.store_one(number, length, true, Meanwhile::Nothing)
                .await;
        }
        self.pass().await;
    }

    /// Something new is stored under a key, or tried.
    pub(super) async fn put(&mut self) {
        let number = self.random.random_range(0..KEYS);
        // Large ones are slow, and not more interesting.
        let lengths = if self.random.random_bool(0.12) {
            14
        } else {
            11
        };
        let length = LENGTHS[self.random.random_range(0..lengths)];
        let is_known = self.random.random();
        let meanwhile = match self.random.random_range(0..20) {
            0..4 => Meanwhile::Read,
            4 => Meanwhile::Strike,
            5 => Meanwhile::Purge,
            6 => Meanwhile::Abandon,
            7 => Meanwhile::Phantom,
            _ => Meanwhile::Nothing,
        };
        self.store_one(number, length, is_known, meanwhile).await;
    }

    async fn store_one(&mut self, number: u8, length: usize, is_known: bool, meanwhile: Meanwhile) {
        let id = self.next_id;
        self.next_id += 1;
        self.note(format!(
            "key {number}: generation {id} of {length} bytes, known {is_known}, {meanwhile:?}"
        ));
        self.shelf_mut(number).begin(id, length);
        let mut hurt = Members::EMPTY;
        if meanwhile == Meanwhile::Phantom {
            let disk = self.random.random_range(0..self.disks.len());
            self.disks[disk].device.phantom_write("tmp/");
            hurt = hurt.with(slot(disk));
        }
        let begun = head_of(number, id);
        let length = is_known.then_some(length as u64);
        let stored = match self.store().begin(begun, length).await {
            Ok(writer) => self.write(writer, number, id, meanwhile).await,
            Err(error) => Err(error),
        };
        if meanwhile == Meanwhile::Phantom {
            for disk in self.disks.iter().filter(|disk| disk.is_well()) {
                disk.device.clear_faults();
            }
        }
        self.book(number, id, stored, hurt);
    }

    /// `Ok(None)`: it was given up.
    async fn write(
        &mut self,
        mut writer: ObjectWriter,
        number: u8,
        id: u32,
        meanwhile: Meanwhile,
    ) -> Result<Option<Arc<Object>>, StoreError> {
        let length = self.shelf(number).get(id).map_or(0, |one| one.length);
        let body = bytes_of(id, length);
        let pieces = body.len().div_ceil(100_003).max(1);
        let at = self.random.random_range(0..pieces);
        for (piece, bytes) in body.chunks(100_003).enumerate() {
            let (first, second) = bytes.split_at(bytes.len() / 3);
            let both = [first, second].map(Bytes::copy_from_slice);
            writer.append(both.to_vec()).await?;
            if meanwhile == Meanwhile::Read {
                self.read_growing(&writer, &body).await;
            }
            if piece == at && meanwhile == Meanwhile::Strike {
                self.strike().await;
            }
        }
        match meanwhile {
            Meanwhile::Purge => self.purge_one(number).await,
            Meanwhile::Abandon => {
                writer.abandon().await;
                return Ok(None);
            }
            _ => {}
        }
        writer.commit().await.map(Some)
    }

    async fn read_growing(&mut self, writer: &ObjectWriter, body: &Bytes) {
        let readable = writer.readable().min(body.len() as u64);
        if readable == 0 {
            return;
        }
        let start = self.random.random_range(0..readable);
        let length = self
            .random
            .random_range(0..=UNIT_BYTES.min(readable - start)) as usize;
        let read = writer.partial().read(start, length).await;
        let at = start as usize;
        match read {
            Ok(bytes) => assert_eq!(bytes, body[at..at + length], "wrong bytes while it grows"),
            Err(error) => assert!(self.has_reason(), "unreadable while it grows: {error}"),
        }
    }

    /// Writes down what became of it.
    fn book(
        &mut self,
        number: u8,
        id: u32,
        stored: Result<Option<Arc<Object>>, StoreError>,
        hurt: Members,
    ) {
        let unreliable = self.unreliable();
        let is_certain = !self.has_crashed();
        let synced = self.settings.durability == Durability::Strict;
        let has_reason = self.has_reason() || !hurt.is_empty();
        match stored {
            Ok(Some(object)) if is_certain => {
                let name = object.name();
                let stored = Stored {
                    sequence: object.sequence(),
                    members: name.placement.members,
                    tolerance: name.placement.geometry.parity_shards(),
                    hurt: hurt.union(unreliable),
                    synced,
                };
                self.shelf_mut(number).commit(id, stored);
                if self.random.random_bool(0.2) {
                    self.held.push((number, object));
                }
            }
            Ok(None) => {}
            Err(StoreError::Purged) => self.note("refused: purged".to_owned()),
            Ok(Some(_)) | Err(_) if !is_certain => self.shelf_mut(number).may_be_stored(id),
            Ok(Some(_)) => {}
            Err(error) => {
                assert!(has_reason, "key {number}: refused: {error}");
                self.note(format!("refused: {error}"));
                self.shelf_mut(number).may_be_stored(id);
            }
        }
    }

    /// Whether something may fail now.
    pub(super) fn has_reason(&self) -> bool {
        let is_excused = self.disks.iter().any(|disk| disk.is_excused);
        self.has_crashed() || is_excused || !self.unreliable().is_empty()
    }

    /// The machine has stopped: nothing that is answered now counts.
    pub(super) fn has_crashed(&self) -> bool {
        self.disks.iter().any(|disk| disk.device.has_crashed())
    }
}
