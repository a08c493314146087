//! Waiting for the end of a rebuild or a retirement: the report of the disks, asked for once a second.
//!
//! Each look is a connection of its own, so that waiting for days takes nothing from other commands, and goes on with
//! the next process of an upgrade.

use crate::array::named;
use crate::cli::caller::{self, Caller, Patience};
use crate::cli::quantity::duration;
use crate::cli::{Exit, Place, complain, print};
use crate::control::protocol::Command;
use crate::control::shown::{Advance, Disks};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::Duration;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// The disk has everything that it should have.
    Rebuilt,
    /// Nothing is on the disk any more.
    Gone,
}

/// What a look shows.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// It goes on.
    Running(Option<Advance>),
    /// The goal is reached.
    Reached,
    /// It never will be, and why.
    Hopeless(String),
}

/// Waits, and says how it ended.
pub(super) fn wait(place: &Place, slot: u8, goal: Goal) -> Exit {
    let folders = match place.folders() {
        Ok(folders) => folders,
        Err(exit) => return exit,
    };
    let bar = bar();
    let waited = watch(&folders, slot, goal, &bar);
    bar.finish_and_clear();
    match waited {
        Ok(()) => print(&match goal {
            Goal::Rebuilt => format!("disk {slot} has everything that it should have\n"),
            Goal::Gone => format!("nothing is on disk {slot} any more: it can be taken away\n"),
        }),
        Err(reason) => {
            caller::fail(&reason);
            complain(
                &"weir: what was begun goes on in the gateway as far as it can: see weir disks",
            );
            Exit::Failed
        }
    }
}

fn watch(folders: &[PathBuf], slot: u8, goal: Goal, bar: &ProgressBar) -> Result<(), String> {
    loop {
        let mut caller = Caller::connect(folders, Patience::Upgrade)?;
        let disks: Disks = caller.ask(&Command::Disks)?;
        match look(&disks, slot, goal) {
            Look::Running(advance) => show(bar, advance),
            Look::Reached => return Ok(()),
            Look::Hopeless(reason) => return Err(reason),
        }
        caller::wait(PAUSE);
    }
}

fn look(disks: &Disks, slot: u8, goal: Goal) -> Look {
    let found = disks.disks.iter().find(|disk| disk.slot == slot);
    let Some(disk) = found else {
        return match goal {
            Goal::Rebuilt => Look::Hopeless(format!("there is no disk {slot} any more")),
            Goal::Gone => Look::Reached,
        };
    };
    let hopeless = || {
        let (name, state) = (named(slot, &disk.folder), &disk.state);
        let reason = disk.reason.as_ref().map(|reason| format!(": {reason}"));
        Look::Hopeless(format!("{name} is {state}{}", reason.unwrap_or_default()))
    };
    match (goal, disk.state.as_str()) {
        (Goal::Rebuilt, "rebuilding") | (Goal::Gone, "retiring") => Look::Running(disk.rebuild),
        (Goal::Rebuilt, "live") if disk.rebuild.is_none() => Look::Reached,
        (Goal::Rebuilt, "live") => Look::Running(disk.rebuild),
        _ => hopeless(),
    }
}

/// Drawn on a terminal only.
fn bar() -> ProgressBar {
    let is_terminal = io::stdout().is_terminal() && io::stderr().is_terminal();
    let target = if is_terminal {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let template = "{bar:24} {pos} of {len} shards{msg}";
    let style = ProgressStyle::with_template(template);
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(0), target).with_style(style)
}

fn show(bar: &ProgressBar, advance: Option<Advance>) {
    let Some(advance) = advance else {
        return;
    };
    bar.set_length(advance.total);
    bar.set_position(advance.done);
    let left = advance.seconds_left.map(duration);
    bar.set_message(left.map_or(String::new(), |left| format!(", {left} left")));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::shown::Disk;

    const HALF: Advance = Advance {
        done: 1,
        total: 2,
        seconds_left: Some(1),
    };

    fn seen(state: &str, rebuild: Option<Advance>, reason: Option<&str>) -> Disks {
        let disk = Disk {
            slot: 2,
            uuid: String::new(),
            folder: "/data/c".to_owned(),
            state: state.to_owned(),
            reason: reason.map(str::to_owned),
            used_bytes: 0,
            budget_bytes: 0,
            errors: 0,
            corrupt_blocks: 0,
            missing_shards: 0,
            scrub: None,
            rebuild,
        };
        Disks {
            state: "degraded".to_owned(),
            epoch: 1,
            parity: 2,
            has_majority: true,
            underprotected_objects: 0,
            disks: vec![disk],
        }
    }

    #[test]
    fn a_rebuild_ends_when_the_disk_is_live() {
        let check = |disks: &Disks, expected: Look| {
            assert_eq!(look(disks, 2, Goal::Rebuilt), expected, "{disks:?}");
        };
        check(
            &seen("rebuilding", Some(HALF), None),
            Look::Running(Some(HALF)),
        );
        check(&seen("rebuilding", None, None), Look::Running(None));
        check(&seen("live", None, None), Look::Reached);
        check(&seen("live", Some(HALF), None), Look::Running(Some(HALF)));
        let lost = "disk 2 (/data/c) is out: gone".to_owned();
        check(&seen("out", None, Some("gone")), Look::Hopeless(lost));
        let full = "disk 2 (/data/c) is read-only".to_owned();
        check(&seen("read-only", None, None), Look::Hopeless(full));
        let absent = look(&seen("live", None, None), 3, Goal::Rebuilt);
        assert!(matches!(absent, Look::Hopeless(_)), "{absent:?}");
    }

    #[test]
    fn a_retirement_ends_when_the_slot_is_vacant() {
        let check = |disks: &Disks, slot, expected: Look| {
            assert_eq!(look(disks, slot, Goal::Gone), expected, "{disks:?}");
        };
        check(
            &seen("retiring", Some(HALF), None),
            2,
            Look::Running(Some(HALF)),
        );
        check(&seen("live", None, None), 3, Look::Reached);
        let back = "disk 2 (/data/c) is live".to_owned();
        check(&seen("live", None, None), 2, Look::Hopeless(back));
    }
}
