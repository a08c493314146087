//! Background tasks: every one is spawned here, under a name, in a span, and waited for at shutdown.
//!
//! Invariants: a panic in a task is logged with the task's name and counted, never silent; after [`TaskSet::close`]
//! or [`TaskSet::refuse`] has begun nothing new starts; there are never more than [`TASKS_MAX`] tasks.
//!
//! Deliberately not here: restarting a task. Whoever wants that writes the loop inside it, with its own bound.

use futures::FutureExt;
use std::any::Any;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tracing::Instrument;

/// Most tasks at one time: far above what an honest load needs (one per client connection, a few per fill).
const TASKS_MAX: usize = 100_000;

/// Why a task was not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpawnError {
    /// The process is shutting down.
    #[error("shutting down")]
    Closed,
    /// The bound on tasks is reached.
    #[error("too many tasks")]
    Full,
}

/// A handle to the set; clones share it.
#[derive(Debug, Clone)]
pub struct TaskSet(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// The last task has ended.
    idle: Notify,
    tasks_max: usize,
    panics: AtomicU64,
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    next_number: u64,
    running: BTreeMap<u64, Running>,
    closed: bool,
}

#[derive(Debug)]
struct Running {
    name: &'static str,
    /// `None` for the moment between the entry and the spawn.
    abort: Option<AbortHandle>,
}

impl Default for TaskSet {
    fn default() -> Self {
        Self::with_bound(TASKS_MAX)
    }
}

impl TaskSet {
    fn with_bound(tasks_max: usize) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::default(),
            idle: Notify::new(),
            tasks_max,
            panics: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }))
    }

    /// Starts a task on the current runtime.
    ///
    /// # Errors
    /// [`SpawnError`]; the future is dropped without having run.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn spawn<F>(&self, name: &'static str, future: F) -> Result<(), SpawnError>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let entry = Entry {
            number: self.enter(name)?,
            set: self.clone(),
        };
        let number = entry.number;
        let task = async move {
            // Owned by the task, so that the entry goes however the task ends, by an abort as well.
            let entry = entry;
            if let Err(panic) = AssertUnwindSafe(future).catch_unwind().await {
                entry.set.report(name, panic.as_ref());
            }
        };
        let span = tracing::info_span!("task", name);
        let abort = tokio::spawn(task.instrument(span)).abort_handle();
        // The task may have ended already; then there is no entry any more.
        if let Some(running) = self.lock().running.get_mut(&number) {
            running.abort = Some(abort);
        }
        Ok(())
    }

    /// Starts nothing new from now on; what runs goes on.
    pub fn refuse(&self) {
        self.lock().closed = true;
    }

    /// Waits until all tasks have ended, at most `deadline`, then aborts the others and returns their names.
    ///
    /// Cancel-safe: no; a canceled close leaves the set closed and its tasks running.
    pub async fn close(&self, deadline: Duration) -> Vec<&'static str> {
        self.refuse();
        if tokio::time::timeout(deadline, self.idle()).await.is_ok() {
            return Vec::new();
        }
        let state = self.lock();
        let aborts = state
            .running
            .values()
            .filter_map(|running| running.abort.as_ref());
        aborts.for_each(AbortHandle::abort);
        state.running.values().map(|running| running.name).collect()
    }

    /// Returns once no task is left.
    pub async fn idle(&self) {
        loop {
            // Registered before looking, so that an end in between is not missed.
            let notified = self.0.idle.notified();
            if self.lock().running.is_empty() {
                return;
            }
            notified.await;
        }
    }

    /// What it counts, at this moment.
    #[must_use]
    pub fn counts(&self) -> TaskCounts {
        let mut running = BTreeMap::new();
        for task in self.lock().running.values() {
            *running.entry(task.name).or_default() += 1;
        }
        let panics = self.0.panics.load(Ordering::Relaxed);
        TaskCounts {
            running,
            panics,
            refused: self.0.refused.load(Ordering::Relaxed),
        }
    }

    fn enter(&self, name: &'static str) -> Result<u64, SpawnError> {
        let mut state = self.lock();
        let refusal = if state.closed {
            Some(SpawnError::Closed)
        } else {
            (state.running.len() >= self.0.tasks_max).then_some(SpawnError::Full)
        };
        if let Some(refusal) = refusal {
            drop(state);
            if refusal == SpawnError::Full {
                self.0.refused.fetch_add(1, Ordering::Relaxed);
            }
            return Err(refusal);
        }
        let number = state.next_number;
        state.next_number = number.wrapping_add(1);
        state.running.insert(number, Running { name, abort: None });
        Ok(number)
    }

    fn report(&self, name: &'static str, panic: &(dyn Any + Send)) {
        self.0.panics.fetch_add(1, Ordering::Relaxed);
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        tracing::error!(
            task = name,
            panic = text.unwrap_or("no message"),
            "a task panicked, which is a bug"
        );
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a set counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskCounts {
    /// Running tasks by name.
    pub running: BTreeMap<&'static str, u64>,
    /// Tasks that panicked.
    pub panics: u64,
    /// Tasks refused by the bound.
    pub refused: u64,
}

/// The place of one task in the set; dropping it gives the place back.
struct Entry {
    number: u64,
    set: TaskSet,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut state = self.set.lock();
        state.running.remove(&self.number);
        if state.running.is_empty() {
            self.set.0.idle.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::sync::oneshot;
    use tokio::time::{Instant, sleep};

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn close_waits_for_what_ends_in_time() {
        let tasks = TaskSet::default();
        tasks.spawn("short", sleep(Duration::from_secs(1))).unwrap();
        tasks.spawn("long", sleep(Duration::from_secs(50))).unwrap();
        let before = Instant::now();
        assert!(tasks.close(MINUTE).await.is_empty());
        assert_eq!(before.elapsed().as_secs(), 50);
    }

    #[tokio::test(start_paused = true)]
    async fn close_names_and_aborts_what_does_not_end() {
        let tasks = TaskSet::default();
        let (held, dropped) = oneshot::channel::<()>();
        let stuck = async move {
            let _held = held;
            pending::<()>().await;
        };
        tasks.spawn("stuck", stuck).unwrap();
        tasks.spawn("short", async {}).unwrap();
        assert_eq!(tasks.close(MINUTE).await, ["stuck"]);
        assert!(dropped.await.is_err(), "the aborted task is dropped");
        assert!(tasks.close(MINUTE).await.is_empty());
    }

    #[tokio::test]
    async fn what_runs_goes_on_when_nothing_new_may_start() {
        let tasks = TaskSet::default();
        let (go, gone) = oneshot::channel::<()>();
        let (done, finished) = oneshot::channel();
        let running = async move {
            gone.await.unwrap();
            done.send(()).unwrap();
        };
        tasks.spawn("running", running).unwrap();
        tasks.refuse();
        assert_eq!(tasks.spawn("late", async {}), Err(SpawnError::Closed));
        go.send(()).unwrap();
        finished.await.unwrap();
    }

    #[tokio::test]
    async fn nothing_starts_after_close() {
        let tasks = TaskSet::default();
        assert!(tasks.close(MINUTE).await.is_empty());
        assert_eq!(tasks.spawn("late", async {}), Err(SpawnError::Closed));
    }

    #[tokio::test]
    async fn more_tasks_than_the_bound_are_refused_and_counted() {
        let tasks = TaskSet::with_bound(1);
        tasks.spawn("first", pending()).unwrap();
        assert_eq!(tasks.spawn("second", async {}), Err(SpawnError::Full));
        let counts = tasks.counts();
        assert_eq!((counts.refused, counts.running.get("first")), (1, Some(&1)));
    }

    #[tokio::test]
    async fn a_panic_is_counted_and_ends_its_own_task_only() {
        let tasks = TaskSet::default();
        let (go, gone) = oneshot::channel();
        tasks
            .spawn("faulty", async { panic!("as the test wants it") })
            .unwrap();
        tasks.spawn("sound", async { gone.await.unwrap() }).unwrap();
        go.send(()).unwrap();
        assert!(tasks.close(MINUTE).await.is_empty());
        assert_eq!(tasks.counts().panics, 1);
    }
}
