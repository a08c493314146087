//! `weir ensure`: has a running gateway store URLs, a few at a time, and says of each what came of it.
//!
//! A thread for each URL that runs, a connection for each URL; lines come in the order in which URLs are finished. Only
//! the gateway fetches: ending this command ends no fill.

mod list;
mod report;

use super::caller::{Caller, Patience, fail};
use super::{Exit, Place, complain};
use crate::control::protocol::{AskedForm, Command, Wanted};
use crate::control::shown::Ensured;
use clap::Args;
use list::List;
use report::Report;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// URLs at once, at most: as many as a gateway takes.
const PARALLEL_MAX: u16 = 64;
/// Lines of a list that are left out and named; of more the number is.
const NAMED_MAX: usize = 10;

/// Options of `weir ensure`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    /// URLs, or paths as clients ask the gateway for them
    #[arg(value_name = "URL")]
    urls: Vec<String>,
    /// Read URLs from this file, one a line; "-" for the standard input
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Fetch for clients of the forward proxy: redirects are not followed
    #[arg(long)]
    forward: bool,
    /// So many URLs at once
    #[arg(long, value_name = "N", default_value_t = 4,
        value_parser = clap::value_parser!(u16).range(1..=i64::from(PARALLEL_MAX)))]
    parallel: u16,
    #[command(flatten)]
    place: Place,
}

const AFTER_HELP: &str = "\
Every URL has a line when it is finished: cached (it was there), revalidated (its upstream says that it still holds), \
fetched, stale (it is there, too old, and its upstream could not be asked) or failed. The exit code is 0 only when none \
is stale or failed; each of those is named on the standard error with its reason as well, unless both outputs go to the \
same place.

In a list, empty lines and lines that begin with # are skipped. A line that is no text is named and left out, and the \
exit code is 1.

Fills belong to the gateway: those that run when this command is interrupted go on. When a new gateway takes over \
(weir serve --upgrade), it is asked for what is not finished.";

impl Arguments {
    pub(crate) fn run(self) -> Exit {
        let (urls, is_whole) = match self.all_urls() {
            Ok(all) => all,
            Err(reason) => return fail(&reason),
        };
        if urls.is_empty() && self.from.is_none() {
            complain(&"weir: which URLs? Name them, or a list with --from FILE");
            return Exit::Usage;
        }
        let folders = match self.place.folders() {
            Ok(folders) => folders,
            Err(exit) => return exit,
        };
        // Without a gateway that is said once, not for every URL.
        if let Err(reason) = Caller::connect(&folders, Patience::Upgrade) {
            return fail(&reason);
        }
        match self.ensure_all(&urls, &folders) {
            Exit::Done if !is_whole => Exit::Failed,
            exit => exit,
        }
    }

    /// The URLs, and whether they are all that were given.
    fn all_urls(&self) -> Result<(Vec<String>, bool), String> {
        let mut urls = self.urls.clone();
        let Some(path) = &self.from else {
            return Ok((urls, true));
        };
        let shown = path.display();
        let list = List::read(path).map_err(|error| format!("{shown}: {error}"))?;
        for (number, why) in list.left_out.iter().take(NAMED_MAX) {
            complain(&format!("weir: {shown}: line {number}: {why}: left out"));
        }
        let more = list.left_out.len().saturating_sub(NAMED_MAX);
        if more > 0 {
            complain(&format!("weir: {shown}: {more} more lines are left out"));
        }
        urls.extend(list.urls);
        Ok((urls, list.left_out.is_empty()))
    }

    fn ensure_all(&self, urls: &[String], folders: &[PathBuf]) -> Exit {
        let form = if self.forward {
            AskedForm::Forward
        } else {
            AskedForm::Download
        };
        let report = Report::new(urls.len());
        let (next, gateway) = (AtomicUsize::new(0), Reach::new(folders));
        let threads = usize::from(self.parallel).min(urls.len());
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some(url) = urls.get(next.fetch_add(1, Ordering::Relaxed)) {
                        ensure(url, form, &gateway, &report);
                    }
                });
            }
        });
        report.finish()
    }
}

/// The gateway, for all threads.
struct Reach<'f> {
    folders: &'f [PathBuf],
    /// It has been waited for in vain: not once more for every URL.
    is_gone: AtomicBool,
}

impl<'f> Reach<'f> {
    fn new(folders: &'f [PathBuf]) -> Self {
        Self {
            folders,
            is_gone: AtomicBool::new(false),
        }
    }

    fn connect(&self) -> Result<Caller, String> {
        let patience = if self.is_gone.load(Ordering::Relaxed) {
            Patience::None
        } else {
            Patience::Upgrade
        };
        let caller = Caller::connect(self.folders, patience);
        self.is_gone.store(caller.is_err(), Ordering::Relaxed);
        caller
    }
}

fn ensure(url: &str, form: AskedForm, gateway: &Reach<'_>, report: &Report) {
    let line = report.begin(url);
    let command = Command::Ensure(Wanted {
        url: url.to_owned(),
        form,
    });
    let answer = gateway.connect().and_then(|mut caller| {
        caller.ask_watching::<Ensured>(&command, |progress| line.advance(progress))
    });
    report.end(line, url, answer);
}
