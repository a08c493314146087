//! `weir reload`: has a running gateway read its configuration again, and says how that ended.
//!
//! The options only find the gateway. It reads the file that it was started with, and that file is named in the answer.

use super::table::harmless;
use super::{Exit, Place, caller, print};
use crate::control::protocol::Command;
use crate::control::shown::Reloaded;
use clap::Args;

/// Which gateway.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
}

const AFTER_HELP: &str = "\
--config and --data only say which gateway is meant. It reads what it was started with: the file, its environment and its \
flags. The answer names the file.";

impl Arguments {
    pub(crate) fn run(self) -> Exit {
        match caller::ask::<Reloaded>(&self.place, &Command::Reload) {
            Ok(reloaded) => print(&text(&reloaded)),
            Err(exit) => exit,
        }
    }
}

fn text(reloaded: &Reloaded) -> String {
    let read = match &reloaded.file {
        Some(file) => format!("the gateway has read {}\n", harmless(file)),
        None => "the gateway was started without a configuration file\n".to_owned(),
    };
    if reloaded.changed.is_empty() {
        return format!("nothing has changed\n{read}");
    }
    let changed = reloaded.changed.iter();
    let changed: String = changed.map(|key| format!("changed {key}\n")).collect();
    changed + &read
}
