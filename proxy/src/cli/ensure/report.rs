//! What `weir ensure` shows: bars on a terminal, lines everywhere else, and the exit code in the end.
//!
//! Lines go to the standard output, the failed URLs with their reasons to the standard error as well: the ones are for
//! programs, the others for whoever looks at errors only. Where both outputs are one place (a terminal, `2>&1`), each URL
//! is named there once.

use crate::cli::table::harmless;
use crate::cli::{Exit, complain, unwritten, write};
use crate::control::protocol::Progress;
use crate::control::shown::Ensured;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use rustix::fs::fstat;
use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Characters of a URL beside its bar; of a longer one the end, which tells it apart.
const NAME_LENGTH_MAX: usize = 40;

/// All URLs of one command.
pub(super) struct Report {
    view: View,
    urls: usize,
    /// Neither failed nor stale.
    ready: AtomicUsize,
    /// The standard output takes no more.
    is_cut_off: AtomicBool,
}

/// How it is shown.
enum View {
    Lines {
        /// Whether failures are also named on the standard error.
        names_failures: bool,
    },
    Bars {
        all: MultiProgress,
        total: ProgressBar,
    },
}

/// One URL that is running.
pub(super) struct Running(Option<ProgressBar>);

impl Report {
    pub(super) fn new(urls: usize) -> Self {
        let is_terminal = io::stdout().is_terminal() && io::stderr().is_terminal();
        Self {
            view: if is_terminal {
                View::bars(urls)
            } else {
                View::Lines {
                    names_failures: !is_one_place(),
                }
            },
            urls,
            ready: AtomicUsize::new(0),
            is_cut_off: AtomicBool::new(false),
        }
    }

    pub(super) fn begin(&self, url: &str) -> Running {
        Running(match &self.view {
            View::Lines { .. } => None,
            View::Bars { all, total } => {
                let bar = ProgressBar::no_length()
                    .with_style(style("{bar:24} {bytes:>11} of {total_bytes:11} {msg}"));
                let bar = all.insert_before(total, bar);
                bar.set_message(name(url));
                Some(bar)
            }
        })
    }

    /// Says what came of a URL.
    pub(super) fn end(&self, running: Running, url: &str, answer: Result<Ensured, String>) {
        if let Some(bar) = running.0 {
            bar.finish_and_clear();
        }
        let ensured = answer.unwrap_or_else(|reason| Ensured {
            outcome: "failed".to_owned(),
            target: url.to_owned(),
            length_bytes: None,
            reason: Some(reason),
        });
        let is_ready = matches!(&*ensured.outcome, "cached" | "revalidated" | "fetched");
        self.ready
            .fetch_add(usize::from(is_ready), Ordering::Relaxed);
        let line = line(url, &ensured);
        match &self.view {
            View::Bars { all, total } => {
                // A terminal that is gone is found out by nobody.
                drop(all.println(line));
                total.inc(1);
            }
            View::Lines { names_failures } => {
                self.print(&line);
                if *names_failures && !is_ready {
                    let reason = ensured.reason.as_deref().unwrap_or("no reason was given");
                    let word = if ensured.outcome == "stale" {
                        "stale: "
                    } else {
                        ""
                    };
                    let words = format!("weir: {url}: {word}{reason}");
                    complain(&harmless(&words));
                }
            }
        }
    }

    pub(super) fn finish(self) -> Exit {
        if let View::Bars { total, .. } = &self.view {
            total.finish_and_clear();
        }
        let ready = self.ready.into_inner();
        if ready < self.urls {
            let missing = self.urls - ready;
            let all = self.urls;
            complain(&format!(
                "weir: {missing} of {all} URLs cannot be used from the cache"
            ));
        }
        if ready < self.urls || self.is_cut_off.into_inner() {
            Exit::Failed
        } else {
            Exit::Done
        }
    }

    fn print(&self, line: &str) {
        let Err(error) = write(&format!("{line}\n")) else {
            return;
        };
        // The URLs that are left are ensured all the same; that nobody hears of them is said once.
        let is_first = !self.is_cut_off.swap(true, Ordering::Relaxed);
        if let Some(reason) = unwritten(&error).filter(|_| is_first) {
            complain(&format!("weir: {reason}"));
        }
    }
}

impl View {
    fn bars(urls: usize) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let total = ProgressBar::new(urls as u64);
        let total = all.add(total.with_style(style("{bar:24} {pos} of {len} URLs")));
        Self::Bars { all, total }
    }
}

impl Running {
    pub(super) fn advance(&self, progress: Progress) {
        if let Some(bar) = &self.0 {
            if let Some(total) = progress.total {
                bar.set_length(total);
            }
            bar.set_position(progress.bytes);
        }
    }
}

/// Whether both outputs are the same file, pipe or terminal.
fn is_one_place() -> bool {
    let place = |found: rustix::fs::Stat| (found.st_dev, found.st_ino);
    let (out, err) = (fstat(io::stdout()), fstat(io::stderr()));
    matches!((out, err), (Ok(out), Ok(err)) if place(out) == place(err))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn name(url: &str) -> String {
    let url = harmless(url);
    let letters = url.chars().count();
    if letters <= NAME_LENGTH_MAX {
        return url;
    }
    let end: String = url.chars().skip(letters - NAME_LENGTH_MAX + 1).collect();
    format!("…{end}")
}

fn line(url: &str, ensured: &Ensured) -> String {
    let mut line = format!("{}  {url}", ensured.outcome);
    if let Some(bytes) = ensured.length_bytes {
        line.push_str(&format!("  {bytes} bytes"));
    }
    if let Some(reason) = &ensured.reason {
        line.push_str("  ");
        line.push_str(reason);
    }
    harmless(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ensured(outcome: &str, length_bytes: Option<u64>, reason: Option<&str>) -> Ensured {
        Ensured {
            outcome: outcome.to_owned(),
            target: String::new(),
            length_bytes,
            reason: reason.map(str::to_owned),
        }
    }

    #[test]
    fn a_line_says_what_became_of_a_url() {
        let check = |ensured: &Ensured, expected: &str| assert_eq!(line("u", ensured), expected);
        check(&ensured("fetched", Some(3), None), "fetched  u  3 bytes");
        check(
            &ensured("failed", None, Some("404\u{1b}")),
            "failed  u  404\u{fffd}",
        );
        check(
            &ensured("stale", Some(3), Some("why")),
            "stale  u  3 bytes  why",
        );
    }

    #[test]
    fn of_a_long_name_the_end_is_shown() {
        assert_eq!(name("http://h/a"), "http://h/a");
        let long = name(&format!("http://h/{}.tar.gz", "a".repeat(100)));
        assert_eq!(long.chars().count(), NAME_LENGTH_MAX);
        assert!(long.starts_with('…') && long.ends_with(".tar.gz"), "{long}");
    }
}
