//! The end of a run: nothing new, everything out, and a superblock that says so.
//!
//! ```text
//! pool closed → its queue runs dry, the repair ends → leftovers removed → syncfs → replaced files removed → syncfs → checkpoint →
//! superblock "clean" → lock released
//! ```
//! Invariant: a store is clean only when every object on the platter is in the checkpoint. A file that could not be
//! removed is in no index, and who starts from a checkpoint would never learn of it: its ban would end, and a later
//! scan would find it.
//!
//! No epoch begins here: whatever a lost disk has missed and was acknowledged was settled then, and where nothing was
//! the disks may go on together as if it had not been lost.
//!
//! Only when each step succeeded does the next start trust the checkpoint. A disk that hangs past the deadline is left
//! alone: the next start then finds an unclean store, which costs a scan and loses nothing.
//!
//! The deadline is real time, watched by a thread of its own, because a runtime may be paused or already going down.

use super::checkpoint::{self, Checkpoint};
use super::core::{Core, lock};
use super::sync::watch_interval;
use crate::metrics::EvictionCause;
use crate::object::Sequence;
use crate::ports::Device;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long the end waits for a read of the scrub; one that takes longer is left behind.
const SCRUB_PATIENCE: Duration = Duration::from_secs(2);
/// Disks that get the checkpoint.
const CHECKPOINTS: usize = 3;

/// Closes; returns at the deadline at the latest.
pub(super) async fn close(core: &Arc<Core>, deadline: Duration) {
    core.repairs.stop();
    core.stop_scrub();
    core.pool.close();
    let (sender, receiver) = oneshot::channel::<()>();
    let watched = Arc::clone(core);
    let watch = move || {
        watch_closing(&watched, deadline);
        drop(sender);
    };
    match thread::Builder::new()
        .name("weir-close".to_owned())
        .spawn(watch)
    {
        // The sender is dropped, not used: its end is the signal.
        Ok(_) => drop(receiver.await),
        Err(error) => {
            tracing::error!(%error, "cannot start the closing thread; the next start scans")
        }
    }
    core.handles.invalidate_all();
    if !core.retirement.has_begun() {
        core.array.close();
    }
}

fn watch_closing(core: &Arc<Core>, deadline: Duration) {
    let (sender, receiver) = sync_channel(1);
    let closing = Arc::clone(core);
    let work = move || drop(sender.send(finish(&closing, deadline)));
    let disk = core.name();
    if let Err(error) = thread::Builder::new()
        .name("weir-close-disk".to_owned())
        .spawn(work)
    {
        tracing::error!(disk, %error, "cannot start the closing thread; the next start scans");
        return;
    }
    match watched(core, &receiver, deadline) {
        Some(Ok(())) => {}
        Some(Err(error)) => {
            tracing::warn!(disk, %error, "the store was not closed cleanly; the next start scans")
        }
        None => tracing::warn!(
            disk,
            "the disk did not finish in time; the next start scans"
        ),
    }
}

/// The result, or `None` at the deadline. The timer has ended, so this is who notices that one of several disks hangs.
fn watched(
    core: &Core,
    result: &Receiver<io::Result<()>>,
    deadline: Duration,
) -> Option<io::Result<()>> {
    let start = Instant::now();
    loop {
        let left = deadline.saturating_sub(start.elapsed());
        match result.recv_timeout(left.min(watch_interval(core))) {
            Ok(result) => return Some(result),
            Err(RecvTimeoutError::Timeout) if !left.is_zero() => core.watch_disks(),
            Err(_) => return None,
        }
    }
}

fn finish(core: &Core, deadline: Duration) -> io::Result<()> {
    let start = Instant::now();
    if !core.pool.drain(deadline) {
        return Err(io::ErrorKind::TimedOut.into());
    }
    if !core
        .repairs
        .await_end(deadline.saturating_sub(start.elapsed()))
    {
        return Err(io::ErrorKind::TimedOut.into());
    }
    // The recheck after a send judges on its own thread.
    core.await_removals();
    core.end_scrub(SCRUB_PATIENCE.min(deadline / 4));
    let closed = mark_clean(core, deadline.saturating_sub(start.elapsed()));
    // What hangs may still change its disk: that one stays locked until this process ends.
    for disk in core.array.disks().iter() {
        if core.array.only().is_some() || disk.drain(deadline.saturating_sub(start.elapsed())) {
            disk.unlock();
        }
    }
    closed
}

fn mark_clean(core: &Core, left: Duration) -> io::Result<()> {
    if left.is_zero() || core.suspect.load(Ordering::Acquire) {
        return Err(io::Error::other("out of time, or a sync failed earlier"));
    }
    core.remove_leftovers();
    core.retry_left();
    core.sync_disks().map_err(io::Error::other)?;
    remove_replaced(core)?;
    if !core.bans.has_left_nothing() {
        return Err(io::Error::other(
            "files of removed objects are still on the disk",
        ));
    }
    if core.losses.has_unseen() {
        return Err(io::Error::other(
            "there are objects that too few disks are here for, and no checkpoint knows them",
        ));
    }
    let sequence = core.sequences.next();
    let mut superblock = lock(&core.superblock);
    let records = collect(core);
    let checkpoint = Checkpoint {
        use_now: core.use_now(),
        records,
    };
    save(core, Sequence(sequence), checkpoint)?;
    let mut next = superblock.clone();
    (next.clean, next.reserved, next.synced) = (true, sequence, sequence);
    next.log = next.log.max(core.log.end());
    core.write_superblocks(&next).map_err(io::Error::other)?;
    *superblock = next;
    Ok(())
}

/// Writes the checkpoint to as many disks as carry the log; one is enough.
fn save(core: &Core, sequence: Sequence, checkpoint: Checkpoint) -> io::Result<()> {
    let (checkpoint, pool) = (Arc::new(checkpoint), core.pool_id);
    let disks = core.array.live().iter().take(CHECKPOINTS);
    let jobs = disks.map(|slot| {
        let checkpoint = Arc::clone(&checkpoint);
        let save = move |device: &dyn Device| checkpoint::save(device, pool, sequence, &checkpoint);
        (slot, save)
    });
    let answers = core.array.on_each(jobs.collect());
    let mut result = Err(io::Error::other("no disk is live"));
    for (_, answer) in answers {
        match answer {
            Ok(()) => return Ok(()),
            Err(fault) => result = Err(io::Error::other(fault)),
        }
    }
    result
}

/// Removes what still waited for the sync that is over now, from the platter as well.
fn remove_replaced(core: &Core) -> io::Result<()> {
    let waiting = core.replaced.take_oldest(usize::MAX);
    for old in &waiting {
        core.unlink_counted(old, EvictionCause::Replaced);
    }
    if waiting.is_empty() {
        return Ok(());
    }
    core.sync_disks().map_err(io::Error::other)
}

/// All records, with the last uses that the open handles know.
fn collect(core: &Core) -> Vec<super::index::Record> {
    let mut records: Vec<_> = lock(&core.index).records().collect();
    for record in &mut records {
        if let Some(object) = core.handles.get(&(record.slot, record.sequence)) {
            record.last_use = record.last_use.max(object.last_use());
        }
    }
    records
}
