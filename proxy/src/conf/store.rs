//! `[store]`: where objects are kept, how much of them, and how carefully.

use super::check::{Check, Section, quoted};
use super::size::{ByteBound, ByteSize};
use super::span::{SpanOrOff, TimeSpan};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;
use weir_cache::store::{Durability, StoreSettings, Verify};

/// `[store]` as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StoreConfig {
    /// Data folders, one a disk.
    pub(crate) disks: Vec<String>,
    /// Upper bound of stored bytes.
    pub(crate) capacity: ByteBound,
    /// Free space left to others.
    pub(crate) reserve: ByteSize,
    /// Eviction starts at this share of the budget…
    pub(crate) high_watermark: f64,
    /// … and stops at this one.
    pub(crate) low_watermark: f64,
    /// When a commit counts as durable.
    pub(crate) durability: DurabilityWord,
    /// When stored bytes are verified.
    pub(crate) verify: VerifyWord,
    /// Digest of every object.
    pub(crate) digest: DigestWord,
    /// Threads for each disk.
    pub(crate) threads_per_disk: u64,
    /// Upper bound of objects.
    pub(crate) objects: u64,
    /// Disks that may be lost at the same time.
    pub(crate) parity: u64,
    /// How long a disk may leave calls unanswered.
    pub(crate) disk_deadline: TimeSpan,
    /// Between two scrubs.
    pub(crate) scrub_interval: SpanOrOff,
    /// Bytes a second that a scrub reads of each disk.
    pub(crate) scrub_rate: ByteSize,
}

/// Values of `durability`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DurabilityWord {
    /// Every few seconds, all together.
    Relaxed,
    /// Every object by itself.
    Strict,
}

/// Values of `verify`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum VerifyWord {
    /// Once per while in memory.
    Resident,
    /// Every time.
    Always,
}

/// Values of `digest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DigestWord {
    /// SHA-256.
    Sha256,
    /// None.
    Off,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            disks: vec!["weir-data".to_owned()],
            capacity: ByteBound::NONE,
            reserve: ByteSize::from_bytes(1 << 30),
            high_watermark: 0.80,
            low_watermark: 0.78,
            durability: DurabilityWord::Relaxed,
            verify: VerifyWord::Resident,
            digest: DigestWord::Sha256,
            threads_per_disk: 8,
            // At 110 bytes an entry this bounds the index at 1.1 GB of memory; 10 TB of 1 MB objects fit.
            objects: 10_000_000,
            parity: 2,
            disk_deadline: TimeSpan::from_secs(5),
            // A disk of 10 TB is read in 53 hours at the rate below: four weeks leave it alone for the rest of them.
            scrub_interval: SpanOrOff::from_secs(28 * 24 * 60 * 60),
            scrub_rate: ByteSize::from_bytes(50 << 20),
        }
    }
}

/// Jobs that may wait for each thread of a disk before callers wait: enough that the 600 downloads of a busy hour
/// find a place, few enough that a hanging disk is noticed.
const QUEUE_PER_THREAD: usize = 128;
/// Slots of a pool.
const DISKS_MAX: usize = 64;
/// Less than a healthy disk takes for a call now and then.
const DISK_DEADLINE_MIN: TimeSpan = TimeSpan::from_millis(100);
/// Clients wait for a disk that hangs for so long.
const DISK_DEADLINE_MAX: TimeSpan = TimeSpan::from_secs(5 * 60);
/// Less than one block a second would never come to an end.
const SCRUB_RATE_MIN: ByteSize = ByteSize::from_bytes(64 << 10);
/// More than any disk has.
const SCRUB_RATE_MAX: ByteSize = ByteSize::from_bytes(1 << 40);

impl StoreConfig {
    /// Checks every key but `disks`. What the disks really are is found out when the store is opened.
    pub(super) fn check(&self, check: &mut Check<'_>) -> StoreSettings {
        self.check_watermarks(check);
        let mut section = check.section("store");
        let threads_per_disk = section.count("threads_per_disk", self.threads_per_disk, 1..=256);
        let parity = section.count("parity", self.parity, 1..=2);
        let scrub_rate = section.bytes(
            "scrub_rate",
            self.scrub_rate,
            SCRUB_RATE_MIN..=SCRUB_RATE_MAX,
        );
        StoreSettings {
            capacity_bytes: self.capacity.get(),
            reserve_bytes: self.reserve.get(),
            high_watermark: self.high_watermark,
            low_watermark: self.low_watermark,
            durability: match self.durability {
                DurabilityWord::Relaxed => Durability::Relaxed,
                DurabilityWord::Strict => Durability::Strict,
            },
            verify: match self.verify {
                VerifyWord::Resident => Verify::Resident,
                VerifyWord::Always => Verify::Always,
            },
            sha256: match self.digest {
                DigestWord::Sha256 => true,
                DigestWord::Off => false,
            },
            threads_per_disk,
            queue_per_disk: threads_per_disk.saturating_mul(QUEUE_PER_THREAD),
            objects_max: section.count("objects", self.objects, 1..=1_000_000_000),
            parity: u8::try_from(parity).unwrap_or(u8::MAX),
            disk_deadline: self.check_deadline(&mut section),
            scrub_interval: self.scrub_interval.get(),
            scrub_bytes_per_second: u64::try_from(scrub_rate).unwrap_or(u64::MAX),
        }
    }

    fn check_deadline(&self, section: &mut Section<'_, '_>) -> Duration {
        let bounds = DISK_DEADLINE_MIN..=DISK_DEADLINE_MAX;
        if !bounds.contains(&self.disk_deadline) {
            let reason = format!("must be from \"{DISK_DEADLINE_MIN}\" to \"{DISK_DEADLINE_MAX}\"");
            section.refuse("disk_deadline", quoted(self.disk_deadline), reason);
        }
        self.disk_deadline.get()
    }

    /// The data folders. Relative ones are relative to the folder Weir was started in.
    pub(super) fn check_disks(&self, check: &mut Check<'_>) -> Vec<PathBuf> {
        let mut section = check.section("store");
        if self.disks.is_empty() {
            let reason = "at least one data folder is needed, like \"weir-data\"";
            section.refuse("disks", "[]", reason);
        }
        if self.disks.len() > DISKS_MAX {
            let reason = format!("must be at most {DISKS_MAX} folders");
            section.refuse("disks", format!("{} folders", self.disks.len()), reason);
        }
        self.check_distinct(&mut section);
        section.each("disks", &self.disks, |disk| {
            if disk.is_empty() || disk.contains('\0') {
                Err("not a folder; write its path, like \"weir-data\"")
            } else {
                Ok(PathBuf::from(disk))
            }
        })
    }

    /// The same folder twice would be two copies on one device.
    fn check_distinct(&self, section: &mut Section<'_, '_>) {
        let mut seen = BTreeMap::new();
        for disk in self.disks.iter().filter(|disk| !disk.is_empty()) {
            if let Some(earlier) = seen.insert(normal(Path::new(disk)), disk) {
                let reason = format!("is the same folder as {}", quoted(earlier));
                section.refuse("disks", quoted(disk), reason);
            }
        }
    }

    /// `0 < low < high ≤ 1`, written so that NaN fails as well.
    fn check_watermarks(&self, check: &mut Check<'_>) {
        let mut section = check.section("store");
        let (high, low) = (self.high_watermark, self.low_watermark);
        let is_share = |value: f64| value > 0.0 && value <= 1.0;
        for (key, value) in [("high_watermark", high), ("low_watermark", low)] {
            if !is_share(value) {
                section.refuse(
                    key,
                    value,
                    "must be a share of the budget above 0 and up to 1.0",
                );
            }
        }
        if is_share(high) && is_share(low) && low >= high {
            let reason = format!("must be below high_watermark ({high})");
            section.refuse("low_watermark", low, reason);
        }
    }
}

/// By its letters alone: what links lead to is found out when the store is opened.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if is_named(&normal) => {
                normal.pop();
            }
            // There is nothing above the root.
            Component::ParentDir if normal.has_root() => {}
            part => normal.push(part),
        }
    }
    normal
}

/// Whether its last part is a name, which `..` takes away.
fn is_named(path: &Path) -> bool {
    matches!(path.components().next_back(), Some(Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_folder_are_one() {
        let check = |one: &str, other: &str, is_same: bool| {
            let (one, other) = (Path::new(one), Path::new(other));
            assert_eq!(normal(one) == normal(other), is_same, "{one:?} {other:?}");
        };
        check("/a", "/a/", true);
        check("/a", "/a/./", true);
        check("/a", "//a", true);
        check("/a", "/b/../a", true);
        check("/a", "/../a", true);
        check("a", "./a", true);
        check("../a", "./../a", true);
        check("../../a", "../a", false);
        check("/a", "a", false);
        check("/a", "/a/b", false);
        check("/a", "/A", false);
    }
}
