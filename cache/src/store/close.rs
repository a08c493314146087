//! The end of a run: nothing new, everything out, and a superblock that says so.
//!
//! ```text
//! pool closed → its queue runs dry → syncfs → replaced files removed → checkpoint → superblock "clean" → lock released
//! ```
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
    for path in std::mem::take(&mut *lock(&core.leftovers)) {
        core.unlink_uncounted(&path);
    }
    core.device.sync_all()?;
    for old in core.replaced.take_oldest(usize::MAX) {
        core.unlink_counted(&old, EvictionCause::Replaced);
    }
    let mut superblock = lock(&core.superblock);
    let sequence = core.sequences.next();
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
