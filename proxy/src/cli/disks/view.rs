//! The table of the disks, for people. What programs read is `--json`.

use crate::array::{WITHOUT_MAJORITY, named};
use crate::cli::quantity::{duration, share, size};
use crate::cli::table::{columns, harmless};
use crate::control::shown::{Advance, Disk, Disks};

/// Letters of an id: enough to tell disks apart, and to find one in the log.
const UUID_LENGTH: usize = 8;
/// In the place of what there is not.
const NONE: &str = "-";

const TITLES: [&str; 10] = [
    "SLOT", "UUID", "STATE", "FOLDER", "USED", "ERRORS", "CORRUPT", "MISSING", "SCRUB", "REBUILD",
];

/// One line for all of them, one for each, and one more for each that is not well.
pub(super) fn text(disks: &Disks) -> String {
    let mut text = headline(disks);
    if !disks.has_majority {
        text.push_str(&format!("warning: {WITHOUT_MAJORITY}\n"));
    }
    text.push('\n');
    let rows = disks.disks.iter().map(row);
    let rows: Vec<_> = std::iter::once(TITLES.map(str::to_owned))
        .chain(rows)
        .collect();
    text.push_str(&columns(&rows));
    let mut reasons = disks.disks.iter().filter_map(reason).peekable();
    if reasons.peek().is_some() {
        text.push('\n');
    }
    text.extend(reasons);
    text
}

fn headline(disks: &Disks) -> String {
    let Disks {
        state,
        epoch,
        parity,
        underprotected_objects: objects,
        ..
    } = disks;
    let state = harmless(state);
    format!("{state}, epoch {epoch}, parity {parity}, {objects} objects underprotected\n")
}

fn row(disk: &Disk) -> [String; 10] {
    let uuid: String = disk.uuid.chars().take(UUID_LENGTH).collect();
    [
        disk.slot.to_string(),
        or_none(uuid),
        disk.state.clone(),
        or_none(disk.folder.clone()),
        used(disk),
        disk.errors.to_string(),
        disk.corrupt_blocks.to_string(),
        disk.missing_shards.to_string(),
        disk.scrub.as_ref().map_or(NONE.to_owned(), advance),
        disk.rebuild.as_ref().map_or(NONE.to_owned(), advance),
    ]
}

/// A disk that is out may use nothing; what it has is told all the same.
fn used(disk: &Disk) -> String {
    let used = size(disk.used_bytes);
    match disk.budget_bytes {
        0 => used,
        budget => format!("{used} of {}", size(budget)),
    }
}

fn or_none(text: String) -> String {
    if text.is_empty() {
        NONE.to_owned()
    } else {
        text
    }
}

/// A share, and how long the rest takes.
fn advance(advance: &Advance) -> String {
    let done = share(advance.done, advance.total);
    match advance.seconds_left {
        Some(seconds) => format!("{done}, {} left", duration(seconds)),
        None => done,
    }
}

fn reason(disk: &Disk) -> Option<String> {
    let reason = disk.reason.as_ref()?;
    let (name, state) = (named(disk.slot, &disk.folder), &disk.state);
    Some(harmless(&format!("{name} is {state}: {reason}")) + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(slot: u8, folder: &str, state: &str) -> Disk {
        Disk {
            slot,
            uuid: format!("{slot:02x}234567deadbeef"),
            folder: folder.to_owned(),
            state: state.to_owned(),
            reason: None,
            used_bytes: 3 << 30,
            budget_bytes: 10 << 30,
            errors: 0,
            corrupt_blocks: 0,
            missing_shards: 0,
            scrub: None,
            rebuild: None,
        }
    }

    fn disks(state: &str, disks: Vec<Disk>) -> Disks {
        Disks {
            state: state.to_owned(),
            epoch: 7,
            parity: 2,
            has_majority: true,
            underprotected_objects: 41,
            disks,
        }
    }

    #[test]
    fn disks_are_aligned_and_their_troubles_follow() {
        let live = Disk {
            scrub: Some(Advance {
                done: 1,
                total: 8,
                seconds_left: None,
            }),
            ..disk(0, "/data/a", "live")
        };
        let lost = Disk {
            uuid: String::new(),
            reason: Some("Input/output\nerror".to_owned()),
            budget_bytes: 0,
            errors: 12,
            ..disk(2, "", "out")
        };
        let rebuilt = Disk {
            missing_shards: 1_000,
            rebuild: Some(Advance {
                done: 999,
                total: 1_000,
                seconds_left: Some(61),
            }),
            ..disk(10, "/data/long", "rebuilding")
        };
        let expected = "\
degraded, epoch 7, parity 2, 41 objects underprotected

SLOT  UUID      STATE       FOLDER      USED                 ERRORS  CORRUPT  MISSING  SCRUB   REBUILD
0     00234567  live        /data/a     3.0 GiB of 10.0 GiB  0       0        0        12.5 %  -
2     -         out         -           3.0 GiB              12      0        0        -       -
10    0a234567  rebuilding  /data/long  3.0 GiB of 10.0 GiB  0       0        1000     -       99.9 %, 1 min 1 s left

disk 2 is out: Input/output\u{fffd}error
";
        assert_eq!(
            text(&disks("degraded", vec![live, lost, rebuilt])),
            expected
        );
    }

    #[test]
    fn without_a_majority_there_is_a_warning_with_the_command() {
        let well = disks("healthy", vec![disk(0, "/data/a", "live")]);
        assert!(!text(&well).contains("warning"));
        let alone = Disks {
            has_majority: false,
            ..well
        };
        let text = text(&alone);
        let warning = text.lines().nth(1).unwrap();
        assert!(warning.starts_with("warning: "), "{text}");
        assert!(warning.ends_with("run `weir disks accept`"), "{text}");
    }
}
