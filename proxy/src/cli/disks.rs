//! `weir disks`: how the disks of a running gateway are, and changes of them.
//!
//! The gateway answers when its store has taken a change and does the rest by itself: whoever waits for that only looks
//! at it again and again, so ending this command ends nothing, and it goes on with the next process of an upgrade.

mod config;
mod view;
mod waiting;

use super::table::harmless;
use super::{Exit, Place, caller, complain, print};
use crate::control::protocol::{Command, DiskChange};
use crate::control::shown::{Disks, DisksChanged};
use clap::{Args, Subcommand};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use waiting::Goal;

/// Options of `weir disks`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// What can be done about them.
#[derive(Debug, Subcommand)]
enum Action {
    /// Put an empty folder in the place of a disk that is out, and rebuild onto it what that one had
    #[command(after_help = CHANGE_HELP)]
    Replace {
        #[command(flatten)]
        disk: Slot,
        #[command(flatten)]
        empty: Folder,
        /// Wait until the disk has everything that it should have
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Add an empty folder as another disk: what is stored from then on is spread over it too
    #[command(after_help = CHANGE_HELP)]
    Add {
        #[command(flatten)]
        empty: Folder,
        #[command(flatten)]
        place: Place,
    },
    /// Move everything off a disk, so that it can be taken away
    #[command(after_help = CHANGE_HELP)]
    Retire {
        #[command(flatten)]
        disk: Slot,
        /// Wait until nothing is on it any more
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Say that the disks that are there are all there is: what is stored on them is used without being asked about
    #[command(after_help = ACCEPT_HELP)]
    Accept {
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        place: Place,
    },
}

/// Which disk.
#[derive(Debug, Args)]
struct Slot {
    /// Number of the disk, as `weir disks` shows it
    #[arg(value_name = "SLOT", value_parser = clap::value_parser!(u8).range(0..64))]
    slot: u8,
}

/// A new disk.
#[derive(Debug, Args)]
struct Folder {
    /// An empty folder on a device of its own, on the gateway's machine
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

const AFTER_HELP: &str = "\
States: live; rebuilding (reads and writes; what it lacks is being computed from the others); retiring; read-only (is read, \
takes no writes); out (failed, hangs, or is not there). All together they are healthy, degraded (everything is served and \
stored, and something is missing) or failed (more is missing than the parity makes up for). MISSING counts shards that a disk \
lacks, CORRUPT blocks that were not what was written; ERRORS and CORRUPT count since the start.

Exit code 0 when the gateway answered, also where it is degraded or failed: see state in --json, or /readyz. 1 when it could \
not be asked, or refused.";

const CHANGE_HELP: &str = "\
Returns when the gateway has taken the change; what follows goes on in the gateway, also when this command is interrupted, and \
`weir disks` shows how far it is. Says what [store] disks should be from then on: the configuration file is not changed.";

const ACCEPT_HELP: &str = "\
While most of the disks have not been seen since the start, what the others hold may be old: a purge or a newer version may \
be known only to the missing ones. Until they are seen, everything stored before is asked about before its use. Accepting ends \
that: purged or replaced objects may be served again. The missing disks may then only come back as strangers, empty.";

const ACCEPT_QUESTION: &str = "\
What was purged or replaced while only the missing disks were there may be served again, and the missing disks may only come \
back as strangers. Accept the disks that are there as all there is? [yes/no] ";

impl Arguments {
    pub(crate) fn run(self) -> Exit {
        match self.action {
            None => finish(show(&self.place, self.json)),
            Some(Action::Replace {
                disk,
                empty,
                wait,
                place,
            }) => replace(disk.slot, &empty.folder, wait, &place),
            Some(Action::Add { empty, place }) => add(&empty.folder, &place),
            Some(Action::Retire { disk, wait, place }) => retire(disk.slot, wait, &place),
            Some(Action::Accept { yes, place }) => accept(yes, &place),
        }
    }
}

fn finish(text: Result<String, Exit>) -> Exit {
    text.map_or_else(|exit| exit, |text| print(&text))
}

fn show(place: &Place, as_json: bool) -> Result<String, Exit> {
    let disks: Disks = caller::ask(place, &Command::Disks)?;
    if as_json {
        caller::json(&disks)
    } else {
        Ok(view::text(&disks))
    }
}

fn replace(slot: u8, folder: &Path, waits: bool, place: &Place) -> Exit {
    let folder = match absolute(folder) {
        Ok(folder) => folder,
        Err(exit) => return exit,
    };
    let shown = harmless(&folder);
    let change = DiskChange::Replace { slot, folder };
    let told = |changed: DisksChanged| {
        let list = config::advice("now", &changed.folders);
        format!("disk {slot} is {shown} now, and what it lacks is being written to it\n{list}")
    };
    match order(place, change).map(told) {
        Ok(text) => then_wait(print(&text), waits, place, slot, Goal::Rebuilt),
        Err(exit) => exit,
    }
}

fn add(folder: &Path, place: &Place) -> Exit {
    let folder = match absolute(folder) {
        Ok(folder) => folder,
        Err(exit) => return exit,
    };
    let shown = harmless(&folder);
    let told = |changed: DisksChanged| {
        let slot = changed
            .slot
            .map_or(String::new(), |slot| format!(" {slot}"));
        let list = config::advice("now", &changed.folders);
        format!(
            "{shown} is disk{slot} now: what is stored from now on is spread over it too\n{list}"
        )
    };
    finish(order(place, DiskChange::Add { folder }).map(told))
}

fn retire(slot: u8, waits: bool, place: &Place) -> Exit {
    let changed = match order(place, DiskChange::Retire { slot }) {
        Ok(changed) => changed,
        Err(exit) => return exit,
    };
    let begun = format!("disk {slot} is being retired: its share is moving to the others\n");
    if !waits {
        let when = "as soon as `weir disks` does not list it any more";
        return print(&(begun + &config::advice(when, &changed.folders)));
    }
    match then_wait(print(&begun), waits, place, slot, Goal::Gone) {
        Exit::Done => print(&config::advice("now", &changed.folders)),
        exit => exit,
    }
}

fn accept(is_sure: bool, place: &Place) -> Exit {
    if !is_sure {
        match confirm() {
            Ok(true) => {}
            Ok(false) => return caller::fail("nothing has changed"),
            Err(exit) => return exit,
        }
    }
    let told = |_| "the disks that are there are accepted as all there is\n".to_owned();
    finish(order(place, DiskChange::Accept).map(told))
}

/// Asks whoever sits there. Without anybody nothing is assumed.
fn confirm() -> Result<bool, Exit> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        complain(
            &"weir: nobody is there to be asked: add --yes to accept the disks that are there",
        );
        return Err(Exit::Usage);
    }
    let mut error = io::stderr();
    let asked = error
        .write_all(ACCEPT_QUESTION.as_bytes())
        .and_then(|()| error.flush());
    let mut answer = String::new();
    match asked.and_then(|()| io::stdin().read_line(&mut answer)) {
        Ok(_) => Ok(answer.trim() == "yes"),
        Err(error) => Err(caller::fail(&format!(
            "the terminal cannot be asked: {error}"
        ))),
    }
}

fn order(place: &Place, change: DiskChange) -> Result<DisksChanged, Exit> {
    caller::ask(place, &Command::DiskChange(change))
}

/// Where `began` says that all is well so far, waits for the end.
fn then_wait(began: Exit, waits: bool, place: &Place, slot: u8, goal: Goal) -> Exit {
    match began {
        Exit::Done if waits => waiting::wait(place, slot, goal),
        exit => exit,
    }
}

/// The gateway has another working directory.
fn absolute(folder: &Path) -> Result<String, Exit> {
    let shown = folder.display();
    let path =
        std::path::absolute(folder).map_err(|error| caller::fail(&format!("{shown}: {error}")))?;
    let path = path.into_os_string().into_string();
    path.map_err(|_| caller::fail(&format!("{shown}: the name of a data folder must be UTF-8")))
}

#[cfg(test)]
mod tests;
