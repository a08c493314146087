//! `weir ensure`: has a running gateway store URLs, a few at a time, and says of each what came of it.
//!
//! A thread for each URL that runs, a connection for each URL; lines come in the order in which URLs are finished. Only
//! the gateway fetches: ending this command ends no fill.

mod report;

use super::caller::{self, Caller};
use super::{Exit, Place, complain};
use crate::control::protocol::{AskedForm, Command, Wanted};
use crate::control::shown::Ensured;
use clap::Args;
use report::Report;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// URLs at once, at most: as many as a gateway takes.
const PARALLEL_MAX: u16 = 64;
/// The longest line of a list, bytes: a URL and its escapes.
const LINE_BYTES_MAX: usize = 64 * 1024;

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
is stale or failed; each of those is named on the standard error with its reason.

In a list, empty lines and lines that begin with # are skipped.

Fills belong to the gateway: those that run when this command is interrupted go on.";

impl Arguments {
    pub(crate) fn run(self) -> Exit {
        let urls = match self.all_urls() {
            Ok(urls) => urls,
            Err(reason) => {
                complain(&format!("weir: {reason}"));
                return Exit::Failed;
            }
        };
        if urls.is_empty() && self.from.is_none() {
            complain(&"weir: which URLs? Name them, or a list with --from FILE");
            return Exit::Usage;
        }
        let folder = match caller::folder(&self.place) {
            Ok(folder) => folder,
            Err(exit) => return exit,
        };
        // Without a gateway that is said once, not for every URL.
        if let Err(reason) = Caller::connect(&folder) {
            complain(&format!("weir: {reason}"));
            return Exit::Failed;
        }
        self.ensure_all(&urls, &folder)
    }

    fn all_urls(&self) -> Result<Vec<String>, String> {
        let mut urls = self.urls.clone();
        if let Some(list) = &self.from {
            let shown = list.display();
            let read = read_list(list).map_err(|error| format!("{shown}: {error}"))?;
            urls.extend(read);
        }
        Ok(urls)
    }

    fn ensure_all(&self, urls: &[String], folder: &Path) -> Exit {
        let form = if self.forward {
            AskedForm::Forward
        } else {
            AskedForm::Download
        };
        let report = Report::new(urls.len());
        let next = AtomicUsize::new(0);
        let threads = usize::from(self.parallel).min(urls.len());
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some(url) = urls.get(next.fetch_add(1, Ordering::Relaxed)) {
                        ensure(url, form, folder, &report);
                    }
                });
            }
        });
        report.finish()
    }
}

fn ensure(url: &str, form: AskedForm, folder: &Path, report: &Report) {
    let line = report.begin(url);
    let command = Command::Ensure(Wanted {
        url: url.to_owned(),
        form,
    });
    let answer = Caller::connect(folder).and_then(|mut caller| {
        caller.ask_watching::<Ensured>(&command, |progress| line.advance(progress))
    });
    report.end(line, url, answer);
}

fn read_list(path: &Path) -> io::Result<Vec<String>> {
    if path == Path::new("-") {
        return listed(io::stdin().lock());
    }
    listed(BufReader::new(File::open(path)?))
}

/// The URLs of a list.
fn listed(list: impl BufRead) -> io::Result<Vec<String>> {
    let mut urls = Vec::new();
    for (number, line) in (1..).zip(list.lines()) {
        let invalid =
            |why: &str| io::Error::new(io::ErrorKind::InvalidData, format!("line {number}: {why}"));
        let line = line.map_err(|error| invalid(&error.to_string()))?;
        if line.len() > LINE_BYTES_MAX {
            return Err(invalid("longer than any URL"));
        }
        let url = line.trim();
        if !url.is_empty() && !url.starts_with('#') {
            urls.push(url.to_owned());
        }
    }
    Ok(urls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_a_url_a_line_and_comments() {
        let check = |list: &str, expected: &[&str]| {
            assert_eq!(listed(list.as_bytes()).unwrap(), expected, "{list:?}");
        };
        check("", &[]);
        check("\n# a comment\n  # another\n \t\n", &[]);
        check(
            "http://h/a\r\n\n http://h/b#c \n",
            &["http://h/a", "http://h/b#c"],
        );
        check("http://h/a", &["http://h/a"]);
    }

    #[test]
    fn a_list_that_is_none_is_refused_with_its_line() {
        let check = |list: &[u8], words: &str| {
            let error = listed(list).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        check(b"http://h/a\n\xff\xfe\n", "line 2");
        let long = format!("http://h/{}", "a".repeat(LINE_BYTES_MAX));
        check(long.as_bytes(), "line 1: longer");
    }
}
