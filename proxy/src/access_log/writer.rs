//! The writer's thread and the bounded buffer in front of it.
//!
//! Lines gather in one buffer of bytes; the thread takes all of it at once and writes it with one call, so batches
//! grow by themselves when there is much to write. The bound is in bytes, because one line may be a hundred times as
//! long as another.
//!
//! Invariants: the lock is held to copy a line or to swap two buffers, never while writing; a line is written whole
//! or not at all, unless the destination itself fails.

use super::Destination;
use anyhow::Context;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::mem;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How long a shutdown waits for a destination that takes nothing any more.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// Destinations that may wait for the one before them.
const REDIRECTS_MAX: usize = 16;

/// Where the thread writes to.
pub(super) enum Sink {
    /// Opened for appending; kept with its path for reopening.
    File(File, PathBuf),
    /// Standard output or error, or a test's double.
    Stream(Box<dyn Write + Send>),
    /// The log is off.
    Nowhere,
}

impl Sink {
    /// Opens what has to be opened.
    ///
    /// # Errors
    /// The file cannot be opened for appending.
    pub(super) fn open(destination: &Destination) -> anyhow::Result<Self> {
        Ok(match destination {
            Destination::Off => Self::Nowhere,
            Destination::Stdout => Self::Stream(Box::new(io::stdout())),
            Destination::Stderr => Self::Stream(Box::new(io::stderr())),
            Destination::File(path) => {
                let file = append(path).with_context(|| {
                    format!(
                        "cannot open the access log {} for appending",
                        path.display()
                    )
                })?;
                Self::File(file, path.clone())
            }
        })
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Self::File(file, _) => file.write_all(lines),
            Self::Stream(stream) => stream.write_all(lines).and_then(|()| stream.flush()),
            Self::Nowhere => Ok(()),
        }
    }

    /// Keeps the old file where the new one cannot be opened: late lines in the wrong file beat lost ones.
    fn reopen(&mut self) {
        let Self::File(file, path) = self else { return };
        match append(path) {
            Ok(new) => *file = new,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot reopen the access log, keeping the old file");
            }
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
}

/// Lines on their way to the thread.
pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    /// The thread has written everything and ended.
    ended: watch::Sender<bool>,
    bytes_max: usize,
    dropped: AtomicU64,
    failed_writes: AtomicU64,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    reopen: bool,
    /// Destinations to come, each with the lines from before it was named.
    redirected: VecDeque<(Sink, Vec<u8>)>,
    closing: bool,
}

impl Queue {
    /// Starts the thread.
    pub(super) fn start(sink: Sink, bytes_max: usize) -> io::Result<Arc<Self>> {
        let queue = Arc::new(Self {
            state: Mutex::default(),
            wake: Condvar::new(),
            ended: watch::Sender::new(false),
            bytes_max,
            dropped: AtomicU64::new(0),
            failed_writes: AtomicU64::new(0),
        });
        let thread = Arc::clone(&queue);
        std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || thread.run(sink))?;
        Ok(queue)
    }

    /// Appends one line, or drops and counts it where it does not fit.
    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.closing || state.lines.len() + line.len() > self.bytes_max {
            drop(state);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let was_empty = state.lines.is_empty();
        state.lines.extend_from_slice(line);
        drop(state);
        if was_empty {
            self.wake.notify_one();
        }
    }

    /// Asks the thread to open its file anew before it writes again.
    pub(super) fn reopen(&self) {
        self.lock().reopen = true;
        self.wake.notify_one();
    }

    /// Writes to `sink` what is pushed from now on; what waits already goes where it was meant to go.
    pub(super) fn redirect(&self, sink: Sink) {
        let mut state = self.lock();
        let mut before = mem::take(&mut state.lines);
        let waiting: usize = state.redirected.iter().map(|(_, lines)| lines.len()).sum();
        // A destination that takes nothing while it is replaced again and again must not cost memory or descriptors.
        let is_full = state.redirected.len() >= REDIRECTS_MAX;
        if is_full || waiting + before.len() > self.bytes_max {
            let lost = before.iter().filter(|byte| **byte == b'\n').count();
            self.dropped.fetch_add(lost as u64, Ordering::Relaxed);
            before.clear();
        }
        match state.redirected.back_mut() {
            Some((last, _)) if is_full => *last = sink,
            _ => state.redirected.push_back((sink, before)),
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Lets the thread write what is waiting and end. Later lines are dropped. May be called again.
    pub(super) async fn close(&self) {
        self.lock().closing = true;
        self.wake.notify_one();
        let mut ended = self.ended.subscribe();
        let wait = ended.wait_for(|ended| *ended);
        if tokio::time::timeout(CLOSE_DEADLINE, wait).await.is_err() {
            tracing::warn!("the access log's destination is stuck, its last lines are lost");
        }
    }

    /// Lines that did not fit.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Batches the destination refused.
    pub(super) fn failed_writes(&self) -> u64 {
        self.failed_writes.load(Ordering::Relaxed)
    }

    fn run(&self, mut sink: Sink) {
        let mut batch = Vec::new();
        let mut was_failing = false;
        while self.take(&mut batch, &mut sink) {
            let failing = self.write(&mut sink, &batch, was_failing);
            was_failing = failing;
            batch.clear();
        }
        self.ended.send_replace(true);
    }

    /// Waits for lines and swaps them for the empty batch; `false` once the log is closed and empty.
    fn take(&self, batch: &mut Vec<u8>, sink: &mut Sink) -> bool {
        let mut state = self.lock();
        loop {
            if let Some((next, before)) = state.redirected.pop_front() {
                if before.is_empty() {
                    *sink = next;
                } else {
                    // First these, with the sink as it is; the next turn finds none.
                    *batch = before;
                    state.redirected.push_front((next, Vec::new()));
                    return true;
                }
            } else if mem::take(&mut state.reopen) {
                drop(state);
                sink.reopen();
                state = self.lock();
            } else if !state.lines.is_empty() {
                mem::swap(&mut state.lines, batch);
                return true;
            } else if state.closing {
                return false;
            } else {
                state = self
                    .wake
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Says once that writing fails, not once for every batch; returns whether it does.
    fn write(&self, sink: &mut Sink, batch: &[u8], was_failing: bool) -> bool {
        let Err(error) = sink.write(batch) else {
            return false;
        };
        self.failed_writes.fetch_add(1, Ordering::Relaxed);
        if !was_failing {
            tracing::warn!(%error, "cannot write the access log, lines are lost until this is repaired");
        }
        true
    }

    /// Nothing panics while the lock is held, and bytes cannot be half appended: a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
