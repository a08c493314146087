//! The access log: one line per request, written from its [`Record`] in one of three formats.
//!
//! A proxy worker only formats the line and copies it into a bounded buffer ([`writer`]); a thread of its own writes
//! what has gathered with one call. Where the target is slower than the traffic, lines are dropped and counted
//! (`weir_bound_hits_total{bound="access-log"}`): logging never slows a client down.
//!
//! Everything a client controls passes through [`escape`] on its way into a line, and userinfo never gets there.

mod combined;
mod escape;
mod json;
mod squid;
mod timestamp;
mod writer;

pub(crate) use timestamp::rfc3339;

use crate::metrics::{Collected, Samples, Source};
use crate::record::Record;
use anyhow::Context;
use arc_swap::ArcSwapOption;
use std::fmt::{self, Write};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use writer::{Queue, Sink};

/// Longest URL that is written, bytes before escaping; the rest is cut off.
const URL_BYTES_MAX: usize = 8 * 1024;
/// Longest other field of the client that is written, bytes before escaping.
const FIELD_BYTES_MAX: usize = 1024;
/// Bytes of lines that may wait for the writer: some 20 000 ordinary requests.
const QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Squid's native `access.log`.
    Squid,
    /// Apache's and nginx's `combined`.
    Combined,
    /// One JSON object.
    Json,
}

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// Nowhere.
    Off,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Appended to a file, which is created (mode 0640) when absent.
    File(PathBuf),
}

impl Format {
    /// The line, with its line feed.
    fn line(self, record: &Record) -> String {
        let mut line = match self {
            Self::Squid => squid::line(record),
            Self::Combined => combined::line(record),
            Self::Json => json::line(record),
        };
        line.push('\n');
        line
    }
}

impl FromStr for Format {
    type Err = anyhow::Error;

    fn from_str(word: &str) -> anyhow::Result<Self> {
        match word {
            "squid" => Ok(Self::Squid),
            "combined" => Ok(Self::Combined),
            "json" => Ok(Self::Json),
            _ => anyhow::bail!("unknown access log format {word:?}: use squid, combined or json"),
        }
    }
}

impl From<&str> for Destination {
    /// `off`, `stdout`, `stderr`; anything else is the path of a file.
    fn from(word: &str) -> Self {
        match word {
            "off" => Self::Off,
            "stdout" => Self::Stdout,
            "stderr" => Self::Stderr,
            path => Self::File(PathBuf::from(path)),
        }
    }
}

/// Appends to a line.
fn append(line: &mut String, text: fmt::Arguments<'_>) {
    // Writing to a String cannot fail; and if it did, a shorter line would be all there is to it.
    line.write_fmt(text).unwrap_or_default();
}

/// The running access log.
pub(crate) struct AccessLog {
    /// `None`: the log is off.
    format: ArcSwapOption<Format>,
    queue: Arc<Queue>,
}

/// A destination that was opened and is not written to yet.
pub(crate) struct Opened {
    format: Option<Arc<Format>>,
    sink: Sink,
}

impl AccessLog {
    /// Opens the destination and starts the writer's thread.
    ///
    /// # Errors
    /// The file cannot be opened for appending, or the system has no thread left.
    pub(crate) fn start(destination: &Destination, format: Format) -> anyhow::Result<Self> {
        let Opened { format, sink } = Self::open(destination, format)?;
        let queue = Queue::start(sink, QUEUE_BYTES_MAX)
            .context("cannot start the thread that writes the access log")?;
        Ok(Self {
            format: ArcSwapOption::new(format),
            queue,
        })
    }

    /// Opens a destination for [`AccessLog::switch`]. Blocks.
    ///
    /// # Errors
    /// The file cannot be opened for appending.
    pub(crate) fn open(destination: &Destination, format: Format) -> anyhow::Result<Opened> {
        Ok(Opened {
            format: (*destination != Destination::Off).then(|| Arc::new(format)),
            sink: Sink::open(destination)?,
        })
    }

    /// Writes what is logged from now on to another destination. No line is lost; one that is being logged at this
    /// moment may still have the format of before.
    pub(crate) fn switch(&self, opened: Opened) {
        self.queue.redirect(opened.sink);
        self.format.store(opened.format);
    }

    /// Logs one request. Never waits for the destination.
    pub(crate) fn log(&self, record: &Record) {
        if let Some(format) = &*self.format.load() {
            self.queue.push(format.line(record).as_bytes());
        }
    }

    /// Opens the file anew before the next line: what logrotate asks for after it has renamed the old one.
    pub(crate) fn reopen(&self) {
        self.queue.reopen();
    }

    /// What the log counts, for the metrics.
    pub(crate) fn source(&self) -> Arc<dyn Source> {
        Arc::new(Counted(Arc::clone(&self.queue)))
    }

    /// Writes what is waiting and ends the thread; gives up on a destination that takes nothing any more. Lines
    /// after this are dropped and counted.
    pub(crate) async fn close(&self) {
        self.queue.close().await;
    }
}

/// The log's counters outlive the log: a scrape during shutdown still sees them.
struct Counted(Arc<Queue>);

impl Source for Counted {
    fn samples(&self, samples: &mut Samples) {
        let Self(queue) = self;
        samples.add(Collected::BoundHits, "access-log", queue.dropped());
        samples.add(Collected::AccessLogErrors, "", queue.failed_writes());
    }
}

#[cfg(test)]
mod tests;
