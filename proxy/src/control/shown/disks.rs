//! What `weir disks` and `weir scrub` say: the report of the store with names that are promises.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use weir_cache::store::report::{ArrayReport, DiskReport, Progress, ScrubDepth, ScrubReport};

/// All disks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Disks {
    /// `healthy`, `degraded` (all is served and stored; something is missing) or `failed` (more is missing than the
    /// parity makes up for).
    pub(crate) state: String,
    /// Grows whenever a disk is lost.
    pub(crate) epoch: u64,
    /// So many disks may be lost at the same time.
    pub(crate) parity: u8,
    /// Whether most of the disks have been seen since the start, or were accepted as all there is.
    pub(crate) has_majority: bool,
    /// Objects that lack a shard on a disk that is live.
    pub(crate) underprotected_objects: u64,
    /// By slot.
    pub(crate) disks: Vec<Disk>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Disk {
    /// Its place, 0 to 63; never renumbered.
    pub(crate) slot: u8,
    /// Its random id; empty where none is known.
    pub(crate) uuid: String,
    /// As configured; empty where it is missing and nobody knows where it was.
    pub(crate) folder: String,
    /// `live`, `rebuilding`, `retiring`, `read-only` or `out`.
    pub(crate) state: String,
    /// Why it is not live.
    pub(crate) reason: Option<String>,
    /// Own bytes.
    pub(crate) used_bytes: u64,
    /// Of so many that the store may use there.
    pub(crate) budget_bytes: u64,
    /// Calls that failed since the start.
    pub(crate) errors: u64,
    /// Blocks that were not what was written, since the start.
    pub(crate) corrupt_blocks: u64,
    /// Shards that it lacks.
    pub(crate) missing_shards: u64,
    /// The scrub of it, while one runs.
    pub(crate) scrub: Option<Advance>,
    /// The rebuild or the retirement of it, while one runs.
    pub(crate) rebuild: Option<Advance>,
}

/// How far something has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Advance {
    /// Files or objects.
    pub(crate) done: u64,
    /// Of so many, as far as is known.
    pub(crate) total: u64,
    /// Until the end at the speed so far; none before that is known.
    pub(crate) seconds_left: Option<u64>,
}

/// A change of the disks that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DisksChanged {
    /// The disk that it is about; none for `accept`.
    pub(crate) slot: Option<u8>,
    /// What `[store] disks` should be when all of the change is done.
    pub(crate) folders: Vec<String>,
}

/// The scrub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scrub {
    /// `idle`, `running` or `paused`.
    pub(crate) state: String,
    /// `blocks`, or `parity` (deep).
    pub(crate) depth: String,
    /// Of this pass, over all disks.
    pub(crate) progress: Advance,
    /// Since the start of the process.
    pub(crate) read_bytes: u64,
    /// Found since the start of the process.
    pub(crate) bad_shards: u64,
    /// Since the end of the last whole pass; none: there was none.
    pub(crate) seconds_since_last_pass: Option<u64>,
}

impl From<ArrayReport> for Disks {
    fn from(report: ArrayReport) -> Self {
        Self {
            state: report.state.as_str().to_owned(),
            epoch: report.epoch,
            parity: report.parity,
            has_majority: report.has_majority,
            underprotected_objects: report.underprotected_objects,
            disks: report.disks.into_iter().map(Disk::from).collect(),
        }
    }
}

impl From<DiskReport> for Disk {
    fn from(report: DiskReport) -> Self {
        Self {
            slot: report.slot.0,
            uuid: report.uuid,
            folder: report.folder,
            state: report.state.as_str().to_owned(),
            reason: Some(report.reason).filter(|reason| !reason.is_empty()),
            used_bytes: report.used_bytes,
            budget_bytes: report.budget_bytes,
            errors: report.errors,
            corrupt_blocks: report.corrupt_blocks,
            missing_shards: report.missing_shards,
            scrub: report.scrub.map(Advance::from),
            rebuild: report.rebuild.map(Advance::from),
        }
    }
}

impl From<Progress> for Advance {
    fn from(progress: Progress) -> Self {
        Self {
            done: progress.done,
            total: progress.total,
            seconds_left: progress.left.as_ref().map(Duration::as_secs),
        }
    }
}

impl From<ScrubReport> for Scrub {
    fn from(report: ScrubReport) -> Self {
        Self {
            state: report.state.as_str().to_owned(),
            depth: match report.depth {
                ScrubDepth::Blocks => "blocks",
                ScrubDepth::Parity => "parity",
            }
            .to_owned(),
            progress: report.progress.into(),
            read_bytes: report.read_bytes,
            bad_shards: report.bad_shards,
            seconds_since_last_pass: report.since_last_pass.as_ref().map(Duration::as_secs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use weir_cache::store::report::{ArrayState, DiskSlot, DiskState, ScrubState};

    #[test]
    fn the_names_in_json_stay() {
        let report = ArrayReport {
            state: ArrayState::Degraded,
            epoch: 7,
            parity: 2,
            has_majority: true,
            underprotected_objects: 3,
            disks: vec![DiskReport {
                slot: DiskSlot(2),
                uuid: "0123456789abcdef".to_owned(),
                folder: "/data/c".to_owned(),
                state: DiskState::Rebuilding,
                reason: String::new(),
                used_bytes: 10,
                budget_bytes: 100,
                errors: 1,
                corrupt_blocks: 2,
                missing_shards: 3,
                scrub: None,
                rebuild: Some(Progress {
                    done: 1,
                    total: 4,
                    left: Some(Duration::from_millis(61_500)),
                }),
            }],
        };
        let expected = json!({
            "state": "degraded", "epoch": 7, "parity": 2, "has_majority": true, "underprotected_objects": 3,
            "disks": [{
                "slot": 2, "uuid": "0123456789abcdef", "folder": "/data/c", "state": "rebuilding", "reason": null,
                "used_bytes": 10, "budget_bytes": 100, "errors": 1, "corrupt_blocks": 2, "missing_shards": 3,
                "scrub": null, "rebuild": {"done": 1, "total": 4, "seconds_left": 61},
            }],
        });
        assert_eq!(serde_json::to_value(Disks::from(report)).unwrap(), expected);
    }

    #[test]
    fn the_names_of_a_scrub_in_json_stay() {
        let report = ScrubReport {
            state: ScrubState::Paused,
            depth: ScrubDepth::Parity,
            progress: Progress {
                done: 1,
                total: 2,
                left: None,
            },
            read_bytes: 65_536,
            bad_shards: 1,
            since_last_pass: None,
        };
        let expected = json!({
            "state": "paused", "depth": "parity", "progress": {"done": 1, "total": 2, "seconds_left": null},
            "read_bytes": 65_536, "bad_shards": 1, "seconds_since_last_pass": null,
        });
        assert_eq!(serde_json::to_value(Scrub::from(report)).unwrap(), expected);
    }
}
