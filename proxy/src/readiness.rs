//! Whether traffic should be sent here: the answer of `/readyz`.
//!
//! A state that only moves forward (starting → ready → draining) and named conditions that rooms
//! raise and clear at any time, such as a disk that became read-only. Ready means: state ready and no condition.
//! Notes are told as well and do not count: somebody has to look, and traffic may come all the same.
//!
//! Deliberately not here: whether the process lives. A process that answers at all is alive.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where the process is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Stores are being opened, listeners are not bound yet.
    Starting,
    /// Serving.
    Ready,
    /// Finishing what runs, taking nothing new.
    Draining,
}

impl State {
    /// States of a higher rank are never left for one of a lower rank.
    fn rank(&self) -> u8 {
        match self {
            Self::Starting => 0,
            Self::Ready => 1,
            Self::Draining => 2,
        }
    }

    fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Starting => Some("starting"),
            Self::Ready => None,
            Self::Draining => Some("draining"),
        }
    }
}

/// Shared by everything that knows a reason not to be ready.
#[derive(Debug)]
pub(crate) struct Readiness(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    state: State,
    conditions: BTreeMap<&'static str, String>,
    notes: BTreeMap<&'static str, String>,
}

impl Default for Readiness {
    fn default() -> Self {
        Self(Mutex::new(Inner {
            state: State::Starting,
            conditions: BTreeMap::new(),
            notes: BTreeMap::new(),
        }))
    }
}

impl Readiness {
    /// Moves forward. A step back is ignored: a store that is opened after SIGTERM must not undo the draining.
    pub(crate) fn advance(&self, state: State) {
        let mut inner = self.lock();
        if state.rank() >= inner.state.rank() {
            inner.state = state;
        }
    }

    /// Raises the condition `name`, or says anew what is wrong.
    pub(crate) fn raise(&self, name: &'static str, problem: impl Into<String>) {
        self.lock().conditions.insert(name, problem.into());
    }

    /// Clears the condition `name`.
    pub(crate) fn clear(&self, name: &'static str) {
        self.lock().conditions.remove(name);
    }

    /// Has `text` told under `name` to whoever asks, ready or not; `None`: no more.
    pub(crate) fn note(&self, name: &'static str, text: Option<String>) {
        let notes = &mut self.lock().notes;
        match text {
            Some(text) => notes.insert(name, text),
            None => notes.remove(name),
        };
    }

    /// What somebody should look at although it keeps no traffic away.
    pub(crate) fn notes(&self) -> Vec<String> {
        let inner = self.lock();
        let notes = inner.notes.iter();
        notes
            .map(|(name, text)| format!("{name}: {text}"))
            .collect()
    }

    /// Why no traffic should be sent here, the state first; empty: ready.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let inner = self.lock();
        let conditions = inner
            .conditions
            .iter()
            .map(|(name, problem)| format!("{name}: {problem}"));
        inner
            .state
            .reason()
            .map(str::to_owned)
            .into_iter()
            .chain(conditions)
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_ready_state_without_conditions_is_ready() {
        let readiness = Readiness::default();
        assert_eq!(readiness.reasons(), ["starting"]);
        readiness.advance(State::Ready);
        assert!(readiness.reasons().is_empty());
        readiness.raise("disk ./weir-data", "read-only");
        readiness.raise("bind", "address in use");
        assert_eq!(
            readiness.reasons(),
            ["bind: address in use", "disk ./weir-data: read-only"]
        );
        readiness.clear("bind");
        readiness.clear("disk ./weir-data");
        assert!(readiness.reasons().is_empty());
    }

    #[test]
    fn a_note_is_told_and_keeps_nothing_away() {
        let readiness = Readiness::default();
        readiness.advance(State::Ready);
        readiness.note("degraded", Some("disk 2 is out".to_owned()));
        assert!(readiness.reasons().is_empty());
        assert_eq!(readiness.notes(), ["degraded: disk 2 is out"]);
        readiness.note("degraded", None);
        assert!(readiness.notes().is_empty());
    }

    #[test]
    fn the_state_never_goes_back() {
        let readiness = Readiness::default();
        readiness.advance(State::Draining);
        readiness.advance(State::Ready);
        assert_eq!(readiness.reasons(), ["draining"]);
    }
}
