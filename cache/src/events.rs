//! What an operator wants to be told of, as a stream: upstreams that fail, damage, conflicts, full and failing disks,
//! disks that are lost and come back.
//!
//! The rooms that notice something [`Events::emit`] it and go on; whoever is interested subscribes. Mail and webhooks
//! are one such reader, a console may be another.
//!
//! Invariants: emitting never waits and never fails; the stream is bounded, and a reader that is slower than the world
//! loses the oldest events and counts them; an event carries no query of a URL, because queries may be signatures.
//! Deliberately absent: anything about a request that was answered well, and any judgment of how often is too often.

use crate::metrics::Counter;
use crate::store::report::DiskSlot;
use std::sync::Arc;
use tokio::sync::broadcast::{self, error::RecvError, error::TryRecvError};

/// Events that wait for a reader, at most.
const WAITING_MAX: usize = 1024;

/// Something an operator wants to be told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// No source had an answer, after the last retry; what clients got was an error or something stale.
    UpstreamFailed {
        /// Host and port of the origin that was asked for.
        authority: String,
        /// The URL, without its query.
        url: String,
        /// What went wrong, in the words of the log.
        error: String,
        /// Who chose the origin.
        chosen_by: ChosenBy,
    },
    /// Stored bytes are not what was written. They were not served as complete.
    Corrupt {
        /// The disk.
        disk: String,
        /// The file, relative to the disk's folder, or what else is damaged.
        object: String,
        /// Whose bytes these are, without its query, where that is known.
        url: Option<String>,
    },
    /// An origin has other bytes behind a URL that is immutable.
    Conflict {
        /// Host and port of the origin.
        authority: String,
        /// The URL, without its query.
        url: String,
    },
    /// A disk takes nothing any more, also after eviction.
    DiskFull {
        /// The disk.
        disk: String,
    },
    /// A sync failed: what the disk was given lately may not survive a power loss.
    StoreSuspect {
        /// The disk.
        disk: String,
    },
    /// A disk takes no part any more: it failed, hangs, or is not there. The others make up for it as long as they can.
    DiskLost {
        /// The disk.
        disk: String,
        /// Its place.
        slot: DiskSlot,
        /// What is wrong with it, in words.
        reason: String,
    },
    /// A disk that was lost takes part again; what it lacks is being computed from the others.
    DiskBack {
        /// The disk.
        disk: String,
        /// Its place.
        slot: DiskSlot,
    },
    /// A disk has everything that it should have.
    RebuildDone {
        /// The disk.
        disk: String,
        /// Its place.
        slot: DiskSlot,
        /// What was written for that.
        shards: u64,
    },
}

/// Who chose the origin that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChosenBy {
    /// It stands behind a mirror: there are as many as are configured.
    Operator,
    /// It was in the URL: there are as many as clients think of.
    Client,
}

/// What kind of event; the words are those of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    /// [`Event::UpstreamFailed`]
    UpstreamFailed,
    /// [`Event::Corrupt`]
    Corrupt,
    /// [`Event::Conflict`]
    Conflict,
    /// [`Event::DiskFull`]
    DiskFull,
    /// [`Event::StoreSuspect`]
    StoreSuspect,
    /// [`Event::DiskLost`]
    DiskLost,
    /// [`Event::DiskBack`]
    DiskBack,
    /// [`Event::RebuildDone`]
    RebuildDone,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::UpstreamFailed,
        Self::Corrupt,
        Self::Conflict,
        Self::DiskFull,
        Self::StoreSuspect,
        Self::DiskLost,
        Self::DiskBack,
        Self::RebuildDone,
    ];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UpstreamFailed => "upstream-failed",
            Self::Corrupt => "corrupt",
            Self::Conflict => "conflict",
            Self::DiskFull => "disk-full",
            Self::StoreSuspect => "store-suspect",
            Self::DiskLost => "disk-lost",
            Self::DiskBack => "disk-back",
            Self::RebuildDone => "rebuild-done",
        }
    }
}

impl Event {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> EventKind {
        match self {
            Self::UpstreamFailed { .. } => EventKind::UpstreamFailed,
            Self::Corrupt { .. } => EventKind::Corrupt,
            Self::Conflict { .. } => EventKind::Conflict,
            Self::DiskFull { .. } => EventKind::DiskFull,
            Self::StoreSuspect { .. } => EventKind::StoreSuspect,
            Self::DiskLost { .. } => EventKind::DiskLost,
            Self::DiskBack { .. } => EventKind::DiskBack,
            Self::RebuildDone { .. } => EventKind::RebuildDone,
        }
    }

    /// What it is about: a host with its port, or a disk.
    #[must_use]
    pub fn subject(&self) -> &str {
        match self {
            Self::UpstreamFailed { authority, .. } | Self::Conflict { authority, .. } => authority,
            Self::Corrupt { disk, .. }
            | Self::DiskFull { disk }
            | Self::StoreSuspect { disk }
            | Self::DiskLost { disk, .. }
            | Self::DiskBack { disk, .. }
            | Self::RebuildDone { disk, .. } => disk,
        }
    }
}

/// Where events are emitted. Clones share the stream.
#[derive(Debug, Clone)]
pub struct Events {
    sender: broadcast::Sender<Event>,
    lost: Arc<Counter>,
}

/// A reader's end of the stream: everything since it was made.
#[derive(Debug)]
pub struct EventStream {
    receiver: broadcast::Receiver<Event>,
    lost: Arc<Counter>,
}

impl Default for Events {
    fn default() -> Self {
        Self::with_bound(WAITING_MAX)
    }
}

impl Events {
    fn with_bound(waiting_max: usize) -> Self {
        let (sender, _) = broadcast::channel(waiting_max);
        Self {
            sender,
            lost: Arc::default(),
        }
    }

    /// Tells whoever reads. Never waits.
    pub fn emit(&self, event: Event) {
        // Nobody reads: then nobody wants to know.
        drop(self.sender.send(event));
    }

    /// A stream of everything from now on.
    #[must_use]
    pub fn subscribe(&self) -> EventStream {
        EventStream {
            receiver: self.sender.subscribe(),
            lost: Arc::clone(&self.lost),
        }
    }

    /// Events that readers were too slow for.
    #[must_use]
    pub fn lost(&self) -> &Counter {
        &self.lost
    }
}

impl EventStream {
    /// The next event; `None` when there will be no more. Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.receiver.recv().await {
                Ok(event) => return Some(event),
                Err(RecvError::Lagged(missed)) => self.lost.add(missed),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// The next event that is there already.
    pub fn waiting(&mut self) -> Option<Event> {
        loop {
            match self.receiver.try_recv() {
                Ok(event) => return Some(event),
                Err(TryRecvError::Lagged(missed)) => self.lost.add(missed),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
            }
        }
    }
}

/// A URL for people: queries may be signatures.
pub(crate) fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(number: usize) -> Event {
        Event::DiskFull {
            disk: number.to_string(),
        }
    }

    #[tokio::test]
    async fn every_reader_gets_what_came_since_it_subscribed() {
        let events = Events::default();
        events.emit(full(0));
        let (mut one, mut other) = (events.subscribe(), events.subscribe());
        events.emit(full(1));
        assert_eq!(one.next().await, Some(full(1)));
        assert_eq!(other.waiting(), Some(full(1)));
        assert_eq!(other.waiting(), None);
        drop(events);
        assert_eq!(one.next().await, None);
    }

    #[tokio::test]
    async fn a_slow_reader_loses_the_oldest_and_they_are_counted() {
        let events = Events::with_bound(4);
        let mut stream = events.subscribe();
        (0..6).for_each(|number| events.emit(full(number)));
        assert_eq!(stream.next().await, Some(full(2)));
        assert_eq!(events.lost().get(), 2);
    }

    #[test]
    fn every_kind_has_a_word_of_its_own() {
        let mut words = EventKind::ALL.map(EventKind::as_str);
        words.sort_unstable();
        assert!(words.windows(2).all(|pair| pair[0] != pair[1]), "{words:?}");
    }
}
