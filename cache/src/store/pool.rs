//! The threads of one disk.
//!
//! A disk that hangs holds its own threads and its own queue, nothing else: callers of other disks never notice. The
//! queue is bounded; whoever finds it full waits asynchronously for a place. A job that panics fails alone.
//!
//! How long a job has been running counts from its last sign of progress ([`note_progress`]): many calls in one job
//! are not one call that hangs. One that is known to take long says so ([`be_patient`]).
//!
//! Cancellation: dropping the future of [`Pool::run`] before it got a place cancels the job; afterwards the job runs
//! to its end and its result is dropped on the pool's thread.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};

type Job = Box<dyn FnOnce() + Send>;

/// How many times longer a job may take that syncs: a file system may have to write gigabytes first.
const SYNC_PATIENCE: u32 = 12;

thread_local! {
    /// The job that this thread runs.
    static CURRENT: RefCell<Option<(Arc<Shared>, u64)>> = const { RefCell::new(None) };
}

/// Called by a job between two device calls: it does not hang.
pub(crate) fn note_progress() {
    change_current(|running| running.since = Instant::now());
}

/// Called by a job before a call that may take much longer than others without hanging.
pub(crate) fn be_patient() {
    change_current(|running| {
        running.since = Instant::now();
        running.patience = SYNC_PATIENCE;
    });
}

fn change_current(change: impl FnOnce(&mut Running)) {
    CURRENT.with_borrow(|current| {
        let Some((shared, number)) = current else {
            return; // not on a thread of a pool
        };
        let mut state = shared.lock();
        let running = state.running.iter_mut();
        if let Some(running) = running.into_iter().find(|one| one.number == *number) {
            change(running);
        }
    });
}

/// Why a job has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PoolError {
    /// The pool takes no jobs any more.
    Closed,
    /// The job panicked.
    Panicked,
    /// The queue is full ([`Pool::try_submit`] only).
    Full,
}

/// A bounded pool.
#[derive(Debug)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
    places: Arc<Semaphore>,
}

struct Shared {
    state: Mutex<State>,
    work: Condvar,
    idle: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<(Job, Option<OwnedSemaphorePermit>)>,
    running: Vec<Running>,
    /// Jobs that have begun.
    begun: u64,
    closed: bool,
}

/// A job that runs.
struct Running {
    number: u64,
    /// Since its beginning, or its last sign of progress.
    since: Instant,
    patience: u32,
}

impl PoolError {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "the store is closed",
            Self::Panicked => "a disk job panicked",
            Self::Full => "too many jobs wait for the disk",
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.lock();
        f.debug_struct("Shared")
            .field("waiting", &state.jobs.len())
            .field("running", &state.running.len())
            .field("closed", &state.closed)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    /// Starts `threads` threads called `name` and a number, with room for `queue` waiting jobs.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub(crate) fn start(name: &str, threads: usize, queue: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            work: Condvar::new(),
            idle: Condvar::new(),
        });
        let places = Arc::new(Semaphore::new(queue.clamp(1, Semaphore::MAX_PERMITS)));
        let pool = Self { shared, places };
        for number in 0..threads.max(1) {
            let shared = Arc::clone(&pool.shared);
            // On an error dropping the pool ends the threads that were started.
            thread::Builder::new()
                .name(format!("{name}-{number}"))
                .spawn(move || work(&shared))?;
        }
        Ok(pool)
    }

    /// Runs a job and waits for its result.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let place = Arc::clone(&self.places)
            .acquire_owned()
            .await
            .map_err(|_| PoolError::Closed)?;
        let (sender, receiver) = oneshot::channel();
        self.submit(Box::new(move || drop(sender.send(job()))), place)?;
        receiver.await.map_err(|_| PoolError::Panicked)
    }

    /// Queues a job without waiting for anything.
    pub(crate) fn try_submit(&self, job: impl FnOnce() + Send + 'static) -> Result<(), PoolError> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|error| match error {
                TryAcquireError::Closed => PoolError::Closed,
                TryAcquireError::NoPermits => PoolError::Full,
            })?;
        self.submit(Box::new(job), place)
    }

    /// Queues a job without a place: for callers that are few and wait for its end.
    pub(crate) fn push(&self, job: impl FnOnce() + Send + 'static) -> Result<(), PoolError> {
        self.queue(Box::new(job), None)
    }

    /// Whether some job that runs has made no progress for longer than that.
    pub(crate) fn has_run_longer_than(&self, limit: Duration) -> bool {
        let state = self.shared.lock();
        let mut running = state.running.iter();
        running.any(|one| one.since.elapsed() > limit.saturating_mul(one.patience))
    }

    /// Whether a caller would have to wait now.
    pub(crate) fn is_full(&self) -> bool {
        self.places.available_permits() == 0
    }

    /// Whether it takes no jobs any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.places.is_closed()
    }

    /// Takes no new jobs; the ones in the queue still run.
    pub(crate) fn close(&self) {
        self.places.close();
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
    }

    /// Waits, blocking, until the queue is empty and no job runs; `false` at the deadline.
    pub(crate) fn drain(&self, deadline: Duration) -> bool {
        let start = Instant::now();
        let mut state = self.shared.lock();
        while !(state.jobs.is_empty() && state.running.is_empty()) {
            let Some(left) = deadline.checked_sub(start.elapsed()) else {
                return false;
            };
            let waited = self.shared.idle.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn submit(&self, job: Job, place: OwnedSemaphorePermit) -> Result<(), PoolError> {
        self.queue(job, Some(place))
    }

    fn queue(&self, job: Job, place: Option<OwnedSemaphorePermit>) -> Result<(), PoolError> {
        let mut state = self.shared.lock();
        if state.closed {
            return Err(PoolError::Closed);
        }
        state.jobs.push_back((job, place));
        drop(state);
        self.shared.work.notify_one();
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close();
    }
}

fn work(shared: &Arc<Shared>) {
    let mut state = shared.lock();
    loop {
        if let Some((job, place)) = state.jobs.pop_front() {
            let number = state.begun;
            state.begun = number.wrapping_add(1);
            state.running.push(Running {
                number,
                since: Instant::now(),
                patience: 1,
            });
            drop(state);
            drop(place);
            CURRENT.set(Some((Arc::clone(shared), number)));
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!("a disk job panicked");
            }
            CURRENT.set(None);
            state = shared.lock();
            state.running.retain(|running| running.number != number);
            shared.idle.notify_all();
        } else if state.closed {
            return;
        } else {
            state = shared
                .work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
