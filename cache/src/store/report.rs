//! What an operator is told of the disks: plain values, as of the moment of asking.

use std::time::Duration;

/// Place of a disk in the pool, 0 … 63. Never renumbered: a retired one stays vacant until a disk is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DiskSlot(pub u8);

impl std::fmt::Display for DiskSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What a disk is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskState {
    /// Reads and writes, and has everything that it should have.
    Live,
    /// Reads and writes; what it lacks is being computed from the others.
    Rebuilding,
    /// Reads and writes; its share is being moved to the others.
    Retiring,
    /// Is read; takes no writes.
    ReadOnly,
    /// Failed, hangs, or is not there.
    Out,
}

impl DiskState {
    /// The word in tables, metrics and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Rebuilding => "rebuilding",
            Self::Retiring => "retiring",
            Self::ReadOnly => "read-only",
            Self::Out => "out",
        }
    }
}

/// How far something has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Files or objects done.
    pub done: u64,
    /// Of so many, as far as is known.
    pub total: u64,
    /// Until the end at the speed so far.
    pub left: Option<Duration>,
}

/// One disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskReport {
    /// Its place.
    pub slot: DiskSlot,
    /// Its random id, hex; empty where none is known.
    pub uuid: String,
    /// The folder, as configured; empty where it is missing and nobody knows where it was.
    pub folder: String,
    /// What it is good for.
    pub state: DiskState,
    /// Why it is not live, in words; empty where it is.
    pub reason: String,
    /// Own bytes.
    pub used_bytes: u64,
    /// Of so many that the store may use there.
    pub budget_bytes: u64,
    /// Calls that failed since the start.
    pub errors: u64,
    /// Blocks that were not what was written, since the start.
    pub corrupt_blocks: u64,
    /// Shards that it lacks.
    pub missing_shards: u64,
    /// The scrub of it, while one runs.
    pub scrub: Option<Progress>,
    /// The rebuild (or the retirement) of it, while one runs.
    pub rebuild: Option<Progress>,
}

/// What the disks together are good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArrayState {
    /// Every disk is live, and every object has all its shards.
    Healthy,
    /// Everything is served and stored; some disk or shard is missing.
    Degraded,
    /// More is missing than the parity makes up for.
    Failed,
}

impl ArrayState {
    /// The word in tables, metrics and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
        }
    }
}

/// All disks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrayReport {
    /// Together.
    pub state: ArrayState,
    /// Grows whenever a disk is lost.
    pub epoch: u64,
    /// Losses that are made up for: 2, or 1 with `parity = 1`; fewer on two or one disks.
    pub parity: u8,
    /// Most of the disks have been seen since the start, or an operator has accepted those that are there. Else
    /// everything stored before is asked about before its use.
    pub has_majority: bool,
    /// Objects that lack a shard on a disk that is live.
    pub underprotected_objects: u64,
    /// By slot.
    pub disks: Vec<DiskReport>,
}

/// Whether the scrub runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScrubState {
    /// Waits for its next turn.
    Idle,
    /// Reads.
    Running,
    /// Somebody has paused it; it stays so over a restart.
    Paused,
}

impl ScrubState {
    /// The word in tables, metrics and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Running => "running",
            Self::Paused => "paused",
        }
    }
}

/// What a scrub compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScrubDepth {
    /// Every block with its checksum.
    Blocks,
    /// And the parity with the data.
    Parity,
}

/// The scrub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrubReport {
    /// Whether it runs.
    pub state: ScrubState,
    /// What it compares, or will.
    pub depth: ScrubDepth,
    /// Files read in this pass, of all disks.
    pub progress: Progress,
    /// Bytes read since the start of the process.
    pub read_bytes: u64,
    /// Shards found bad since the start of the process, all of them repaired or waiting for it.
    pub bad_shards: u64,
    /// Since the end of the last whole pass; `None`: there was none.
    pub since_last_pass: Option<Duration>,
}

/// Why a command about disks was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiskCommandError {
    /// There is no such slot.
    #[error("there is no slot {0}; `weir disks` shows them")]
    NoSuchSlot(DiskSlot),
    /// What is asked for makes no sense now; says why and what to do.
    #[error("{0}")]
    Refused(String),
    /// A disk failed.
    #[error("{disk}: {reason}")]
    Disk {
        /// Which.
        disk: String,
        /// How.
        reason: String,
    },
}
