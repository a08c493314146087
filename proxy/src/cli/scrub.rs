//! `weir scrub`: everything stored is read and compared with its checksums.
//!
//! The pass is the gateway's: it goes on whoever looks, and a pause stays over a restart.

use super::quantity::{duration, share, size};
use super::table::Table;
use super::{Exit, Place, caller, print};
use crate::control::protocol::{Command, ScrubOrder, ScrubbedDepth};
use crate::control::shown::Scrub;
use clap::{Args, Subcommand};

/// What there is to do about the scrub.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

/// What can be done.
#[derive(Debug, Subcommand)]
enum Action {
    /// Begin a pass over all disks, or go on with a paused one
    Start {
        /// Compare the parity with the data as well
        #[arg(long)]
        deep: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Pause the pass, and those that would begin by themselves, until `weir scrub start`
    Pause {
        #[command(flatten)]
        place: Place,
    },
    /// Say how far it is
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
}

const AFTER_HELP: &str = "\
A pass begins by itself after [store] scrub_interval and reads [store] scrub_rate of each disk. What it finds bad is named in \
the log and repaired from the other disks, or dropped where there is only one. A deep pass finds a shard that is wrong although \
its checksums are right, too; it reads every object as a whole.";

impl Arguments {
    pub(crate) fn run(self) -> Exit {
        let text = match self.action {
            Action::Start { deep, place } => {
                let depth = if deep {
                    ScrubbedDepth::Parity
                } else {
                    ScrubbedDepth::Blocks
                };
                ask(&place, ScrubOrder::Start { depth }).map(|scrub| text(&scrub))
            }
            Action::Pause { place } => ask(&place, ScrubOrder::Pause).map(|scrub| text(&scrub)),
            Action::Status { json, place } => {
                ask(&place, ScrubOrder::Status).and_then(|scrub| match json {
                    true => caller::json(&scrub),
                    false => Ok(text(&scrub)),
                })
            }
        };
        text.map_or_else(|exit| exit, |text| print(&text))
    }
}

fn ask(place: &Place, order: ScrubOrder) -> Result<Scrub, Exit> {
    caller::ask(place, &Command::Scrub(order))
}

fn text(scrub: &Scrub) -> String {
    let mut table = Table::default();
    let depth = match scrub.depth.as_str() {
        "parity" => "blocks with their checksums and parity with data",
        _ => "blocks with their checksums",
    };
    table.line("scrub", &format!("{}, compares {depth}", scrub.state));
    let progress = &scrub.progress;
    if progress.total > 0 {
        let (done, total) = (progress.done, progress.total);
        let left = progress.seconds_left.map(duration);
        let left = left.map_or(String::new(), |left| format!(", {left} left"));
        let share = share(done, total);
        table.line(
            "progress",
            &format!("{share}, {done} of {total} files{left}"),
        );
    }
    let (read, bad) = (size(scrub.read_bytes), scrub.bad_shards);
    table.line(
        "found",
        &format!("{bad} bad shards in {read} since the start"),
    );
    let last = match scrub.seconds_since_last_pass {
        Some(seconds) => format!("{} ago", duration(seconds)),
        None => "never".to_owned(),
    };
    table.line("last pass", &last);
    table.into_text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command as Told};
    use crate::control::shown::Advance;
    use clap::Parser;

    fn scrub(state: &str, total: u64) -> Scrub {
        Scrub {
            state: state.to_owned(),
            depth: "blocks".to_owned(),
            progress: Advance {
                done: 1,
                total,
                seconds_left: Some(7_200),
            },
            read_bytes: 3 << 30,
            bad_shards: 2,
            seconds_since_last_pass: None,
        }
    }

    #[test]
    fn a_pass_says_how_far_it_is() {
        let expected = "\
scrub        running, compares blocks with their checksums
progress     25.0 %, 1 of 4 files, 2 h 0 min left
found        2 bad shards in 3.0 GiB since the start
last pass    never
";
        assert_eq!(text(&scrub("running", 4)), expected);
    }

    #[test]
    fn without_a_pass_there_is_no_progress() {
        let deep = Scrub {
            depth: "parity".to_owned(),
            seconds_since_last_pass: Some(90_000),
            ..scrub("paused", 0)
        };
        let text = text(&deep);
        assert!(
            text.starts_with(
                "scrub        paused, compares blocks with their checksums and parity"
            )
        );
        assert!(!text.contains("progress"), "{text}");
        assert!(text.ends_with("last pass    1 d 1 h ago\n"), "{text}");
    }

    #[test]
    fn what_makes_no_sense_is_wrong_usage() {
        let is_understood = |words: &[&str]| {
            let words = ["weir", "scrub"].iter().chain(words);
            let told = Cli::try_parse_from(words);
            told.is_ok_and(|cli| matches!(cli.command, Told::Scrub(_)))
        };
        for right in [
            &["start"][..],
            &["start", "--deep"],
            &["pause"],
            &["status", "--json"],
        ] {
            assert!(is_understood(right), "{right:?}");
        }
        for wrong in [&[][..], &["stop"], &["pause", "--deep"], &["start", "3"]] {
            assert!(!is_understood(wrong), "{wrong:?}");
        }
    }
}
