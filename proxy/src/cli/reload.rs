//! `weir reload`: has a running gateway read its configuration again, and says how that ended.

use super::{Exit, Place, caller, print};
use crate::control::protocol::Command;
use crate::control::shown::Reloaded;
use clap::Args;

/// Which gateway.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
}

impl Arguments {
    pub(crate) fn run(self) -> Exit {
        match caller::ask::<Reloaded>(&self.place, &Command::Reload) {
            Ok(reloaded) => print(&text(&reloaded)),
            Err(exit) => exit,
        }
    }
}

fn text(reloaded: &Reloaded) -> String {
    if reloaded.changed.is_empty() {
        return "nothing has changed\n".to_owned();
    }
    let changed = reloaded.changed.iter();
    changed.map(|key| format!("changed {key}\n")).collect()
}
