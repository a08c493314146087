//! What is told of the disks to whoever looks at the gateway from outside: a sentence for `/readyz` and `weir stat`, and
//! the numbers of a scrape. The commands about disks are in [`control`](crate::control).
//!
//! Everything is read from the store's report when it is asked for: disks come and go while the gateway runs.

mod samples;

pub(crate) use samples::samples;

use weir_cache::store::report::{ArrayReport, ArrayState, DiskReport, DiskState};

/// Whether traffic should come here, as far as the disks say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing is to be said.
    Healthy,
    /// Yes, and this is to be said.
    Degraded(String),
    /// No, and why.
    Failed(String),
}

/// Judges the disks.
pub(crate) fn judge(report: &ArrayReport) -> Verdict {
    let missing = || what_is_missing(report).unwrap_or_else(|| "weir disks says more".to_owned());
    match (report.state, report.has_majority) {
        (ArrayState::Healthy, true) => Verdict::Healthy,
        (ArrayState::Healthy, false) | (ArrayState::Degraded, _) => Verdict::Degraded(missing()),
        (ArrayState::Failed, _) => Verdict::Failed(missing()),
    }
}

/// Every disk that is not well and why, then what that means for the objects; `None` where there is nothing to say.
pub(crate) fn what_is_missing(report: &ArrayReport) -> Option<String> {
    let disks = report.disks.iter().filter_map(complaint);
    let objects = match report.underprotected_objects {
        0 => None,
        1 => Some("1 object lacks a shard".to_owned()),
        count => Some(format!("{count} objects lack a shard")),
    };
    let majority = (!report.has_majority).then(|| WITHOUT_MAJORITY.to_owned());
    let all: Vec<String> = disks.chain(objects).chain(majority).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// What it means that half of the disks or more are not there, and what to do.
pub(crate) const WITHOUT_MAJORITY: &str = "most of the disks have not been seen since the start, so everything stored \
    before is asked about before its use: bring the missing ones back, or, if they are gone for good, run `weir disks \
    accept`";

fn complaint(disk: &DiskReport) -> Option<String> {
    let state = match disk.state {
        DiskState::Live => return None,
        DiskState::Rebuilding => "is being rebuilt",
        DiskState::Retiring => "is being retired",
        DiskState::ReadOnly => "is read-only",
        DiskState::Out => "is out",
    };
    let name = named(disk.slot.0, &disk.folder);
    Some(match disk.reason.as_str() {
        "" => format!("{name} {state}"),
        reason => format!("{name} {state}: {reason}"),
    })
}

/// A disk in a sentence.
pub(crate) fn named(slot: u8, folder: &str) -> String {
    match folder {
        "" => format!("disk {slot}"),
        folder => format!("disk {slot} ({folder})"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use weir_cache::store::report::DiskSlot;

    pub(crate) fn disk(slot: u8, folder: &str, state: DiskState, reason: &str) -> DiskReport {
        DiskReport {
            slot: DiskSlot(slot),
            uuid: format!("{slot:032x}"),
            folder: folder.to_owned(),
            state,
            reason: reason.to_owned(),
            used_bytes: 0,
            budget_bytes: 0,
            errors: 0,
            corrupt_blocks: 0,
            missing_shards: 0,
            scrub: None,
            rebuild: None,
        }
    }

    pub(crate) fn report(state: ArrayState, disks: Vec<DiskReport>) -> ArrayReport {
        ArrayReport {
            state,
            epoch: 1,
            parity: 2,
            has_majority: true,
            underprotected_objects: 0,
            disks,
        }
    }

    #[test]
    fn every_disk_that_is_not_well_is_named_with_its_reason() {
        let disks = vec![
            disk(0, "/data/a", DiskState::Live, ""),
            disk(2, "/data/c", DiskState::Out, "Input/output error"),
            disk(3, "/data/d", DiskState::Rebuilding, ""),
            disk(5, "", DiskState::Out, "not there"),
        ];
        let degraded = ArrayReport {
            underprotected_objects: 41,
            ..report(ArrayState::Degraded, disks)
        };
        let words = "disk 2 (/data/c) is out: Input/output error; disk 3 (/data/d) is being rebuilt; \
                     disk 5 is out: not there; 41 objects lack a shard";
        assert_eq!(judge(&degraded), Verdict::Degraded(words.to_owned()));
        let failed = ArrayReport {
            state: ArrayState::Failed,
            ..degraded
        };
        assert_eq!(judge(&failed), Verdict::Failed(words.to_owned()));
    }

    #[test]
    fn nothing_is_said_of_disks_that_are_well() {
        let disks = vec![disk(0, "/data/a", DiskState::Live, "")];
        let healthy = report(ArrayState::Healthy, disks);
        assert_eq!(judge(&healthy), Verdict::Healthy);
        assert_eq!(what_is_missing(&healthy), None);
    }

    #[test]
    fn without_a_majority_the_command_is_named() {
        let alone = ArrayReport {
            has_majority: false,
            ..report(ArrayState::Healthy, Vec::new())
        };
        let Verdict::Degraded(words) = judge(&alone) else {
            panic!("nothing is said")
        };
        assert!(words.contains("`weir disks accept`"), "{words}");
    }

    #[test]
    fn a_state_without_a_word_is_a_sentence_all_the_same() {
        let failed = report(ArrayState::Failed, Vec::new());
        assert!(matches!(judge(&failed), Verdict::Failed(words) if !words.is_empty()));
    }
}
