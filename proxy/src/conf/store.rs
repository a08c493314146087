//! `[store]`: where objects are kept, how much of them, and how carefully.

use super::check::Check;
use super::size::{ByteBound, ByteSize};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
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
        }
    }
}

/// Jobs that may wait for each thread of a disk before callers wait: enough that the 600 downloads of a busy hour
/// find a place, few enough that a hanging disk is noticed.
const QUEUE_PER_THREAD: usize = 128;

impl StoreConfig {
    /// Checks every key but `disks`. What the disks really are is found out when the store is opened.
    pub(super) fn check(&self, check: &mut Check<'_>) -> StoreSettings {
        self.check_watermarks(check);
        let mut section = check.section("store");
        let threads_per_disk = section.count("threads_per_disk", self.threads_per_disk, 1..=256);
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
        }
    }

    /// The data folders. Relative ones are relative to the folder Weir was started in.
    pub(super) fn check_disks(&self, check: &mut Check<'_>) -> Vec<PathBuf> {
        let mut section = check.section("store");
        match self.disks.as_slice() {
            [] => section.refuse(
                "disks",
                "[]",
                "one data folder is needed, like \"weir-data\"",
            ),
            [_] => {}
            [_, ..] => {
                let written = format!("{:?}", self.disks);
                section.refuse(
                    "disks",
                    written,
                    "several disks are not yet available; name one",
                );
            }
        }
        section.each("disks", &self.disks, |disk| {
            if disk.is_empty() || disk.contains('\0') {
                Err("not a folder; write its path, like \"weir-data\"")
            } else {
                Ok(PathBuf::from(disk))
            }
        })
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
