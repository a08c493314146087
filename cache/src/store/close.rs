//! The end of a run: nothing new, everything out, and a superblock that says so.
//!
//! ```text
//! pool closed → its queue runs dry → leftovers removed → syncfs → replaced files removed → syncfs → checkpoint →
//! superblock "clean" → lock released
//! ```
//! Invariant: a store is clean only when every object on the platter is in the checkpoint. A file that could not be
//! removed is in no index, and who starts from a checkpoint would never learn of it: its ban would end, and a later
//! scan would find it.
//!
//! Only when each step succeeded does the next start trust the checkpoint. A disk that hangs past the deadline is left
//! alone: the next start then finds an unclean store, which costs a scan and loses nothing.
//!
//! The deadline is real time, watched by a thread of its own, because a runtime may be paused or already going down.

use super::checkpoint::{self, Checkpoint};
use super::core::{Core, lock};
use crate::metrics::EvictionCause;
use crate::object::Sequence;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Closes; returns at the deadline at the latest.
pub(super) async fn close(core: &Arc<Core>, deadline: Duration) {
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
}

fn watch_closing(core: &Arc<Core>, deadline: Duration) {
    let (sender, receiver) = sync_channel(1);
    let closing = Arc::clone(core);
    let work = move || drop(sender.send(finish(&closing, deadline)));
    let disk = core.device.name();
    if let Err(error) = thread::Builder::new()
        .name("weir-close-disk".to_owned())
        .spawn(work)
    {
        tracing::error!(disk, %error, "cannot start the closing thread; the next start scans");
        return;
    }
    match receiver.recv_timeout(deadline) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(disk, %error, "the store was not closed cleanly; the next start scans")
        }
        Err(_) => tracing::warn!(
            disk,
            "the disk did not finish in time; the next start scans"
        ),
    }
}

fn finish(core: &Core, deadline: Duration) -> io::Result<()> {
    let start = Instant::now();
    if !core.pool.drain(deadline) {
        return Err(io::ErrorKind::TimedOut.into());
    }
    // The recheck after a send judges on its own thread.
    core.await_removals();
    let closed = mark_clean(core, deadline.saturating_sub(start.elapsed()));
    core.device.unlock();
    closed
}

fn mark_clean(core: &Core, left: Duration) -> io::Result<()> {
    if left.is_zero() || core.suspect.load(Ordering::Acquire) {
        return Err(io::Error::other("out of time, or a sync failed earlier"));
    }
    core.remove_leftovers();
    core.retry_left();
    core.device.sync_all()?;
    remove_replaced(core)?;
    if !core.bans.has_left_nothing() {
        return Err(io::Error::other(
            "files of removed objects are still on the disk",
        ));
    }
    let sequence = core.sequences.next();
    let mut superblock = lock(&core.superblock);
    let records = collect(core);
    let checkpoint = Checkpoint {
        use_now: core.use_now(),
        records,
    };
    checkpoint::save(
        core.device.as_ref(),
        core.pool_id,
        Sequence(sequence),
        &checkpoint,
    )?;
    let mut next = superblock.clone();
    (next.clean, next.reserved, next.synced) = (true, sequence, sequence);
    next.log = next.log.max(core.log.end());
    next.store(core.device.as_ref())?;
    *superblock = next;
    Ok(())
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
    core.device.sync_all()
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
