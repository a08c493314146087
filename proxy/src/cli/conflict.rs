//! `weir conflict`: look at changed bytes behind an immutable URL, and decide.

use super::table::Table;
use super::{Exit, Place, caller, complain, explain, print};
use crate::control::protocol::{Command, Subject};
use crate::control::shown::{Conflicts, Decided};
use clap::{Args, Subcommand};

/// What to do about a conflict.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

/// What can be done.
#[derive(Debug, Subcommand)]
enum Action {
    /// Show the original and the changed object side by side; exit 1 when there is no conflict
    Show {
        /// The URL
        url: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Serve the changed object from now on
    Accept {
        /// The URL
        url: String,
        #[command(flatten)]
        place: Place,
    },
    /// Keep the original and forget the changed object
    Reject {
        /// The URL
        url: String,
        #[command(flatten)]
        place: Place,
    },
}

impl Arguments {
    pub(crate) fn run(self) -> Exit {
        let text = match self.action {
            Action::Show { url, json, place } => show(url, json, &place),
            Action::Accept { url, place } => {
                let command = Command::ConflictAccept(Subject { url });
                caller::ask(&place, &command).map(|done| decided("accepted", &done))
            }
            Action::Reject { url, place } => {
                let command = Command::ConflictReject(Subject { url });
                caller::ask(&place, &command).map(|done| decided("rejected", &done))
            }
        };
        match text {
            Ok(text) => print(&text),
            Err(exit) => exit,
        }
    }
}

fn show(url: String, as_json: bool, place: &Place) -> Result<String, Exit> {
    let found: Conflicts = caller::ask(place, &Command::ConflictShow(Subject { url }))?;
    if as_json {
        return caller::json(&found);
    }
    if found.conflicts.is_empty() {
        complain(&format!("weir: {}: there is no conflict", found.target));
        return Err(Exit::Failed);
    }
    let mut table = Table::default();
    table.line("target", &found.target);
    for conflict in &found.conflicts {
        table.gap();
        explain::conflict(&mut table, conflict);
    }
    Ok(table.into_text())
}

fn decided(word: &str, done: &Decided) -> String {
    let mut table = Table::default();
    table.line(word, &done.target);
    for object in &done.served {
        table.object("  served", object);
    }
    if done.served.is_empty() {
        table.line(
            "  served",
            "nothing: the original is gone, the next request fetches anew",
        );
    }
    table.into_text()
}
