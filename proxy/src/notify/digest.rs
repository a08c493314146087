//! Many events, few messages: the first one about a host or disk is told at once, those that follow within the interval
//! are counted and told together when it ends.
//!
//! Invariants: bounded in memory and in messages. Of each kind so many hosts are told apart and no more, besides mirrors
//! and disks, whose number the configuration bounds; whoever asks for ever new broken hosts gets them counted together,
//! not a mail for each, and takes no place from anything else. Pure: time is handed in.

use super::message::example_of;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;
use weir_cache::events::{ChosenBy, Event, EventKind};
use weir_cache::metrics::Counter;

/// Hosts of one kind, chosen by clients, that are told apart at a time. What an operator has configured always is.
const SUBJECTS_MAX: usize = 32;
/// URLs or files that a summary names.
const EXAMPLES_MAX: usize = 5;

/// Something to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    /// The first event, or the last of several.
    pub(super) event: Event,
    /// What it stands for.
    pub(super) about: About,
    /// Events in it.
    pub(super) count: u64,
    /// When the first of them came.
    pub(super) first_unix_seconds: u64,
    /// When the last of them came.
    pub(super) last_unix_seconds: u64,
    /// Some of their URLs or files.
    pub(super) examples: Vec<String>,
}

/// What a notice stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// One event, the first about its host or disk.
    First,
    /// What came about the same since the last notice.
    Since,
    /// What came about so many others that they were not told apart.
    Others,
}

/// What is being counted.
#[derive(Debug, Default)]
pub(super) struct Digest {
    windows: BTreeMap<(EventKind, String), Window>,
    others: BTreeMap<EventKind, Window>,
}

/// From one notice to the earliest time of the next.
#[derive(Debug)]
struct Window {
    until: Instant,
    held: Option<Notice>,
    /// It counts against [`SUBJECTS_MAX`].
    bounded: bool,
}

/// When something happens, by both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) instant: Instant,
    pub(super) unix_seconds: u64,
}

impl Digest {
    /// What is to be told of `event` at once; otherwise it is counted. `crowded` counts what was not told apart.
    pub(super) fn admit(
        &mut self,
        event: Event,
        now: Moment,
        interval: Duration,
        crowded: &Counter,
    ) -> Option<Notice> {
        let kind = event.kind();
        let key = (kind, event.subject().to_owned());
        if let Some(window) = self.windows.get_mut(&key) {
            window.hold(event, About::Since, now);
            return None;
        }
        let until = now.instant + interval;
        let bounded = is_bounded_by_us(&event);
        let alike = self.windows.iter();
        let alike = alike.filter(|((known, _), window)| *known == kind && window.bounded);
        if bounded && alike.count() >= SUBJECTS_MAX {
            crowded.add(1);
            let window = self
                .others
                .entry(kind)
                .or_insert(Window::new(until, bounded));
            window.hold(event, About::Others, now);
            return None;
        }
        self.windows.insert(key, Window::new(until, bounded));
        Some(Notice {
            event,
            about: About::First,
            count: 1,
            first_unix_seconds: now.unix_seconds,
            last_unix_seconds: now.unix_seconds,
            examples: Vec::new(),
        })
    }

    /// When [`Self::due`] has something to do next.
    pub(super) fn next(&self) -> Option<Instant> {
        let windows = self.windows.values().chain(self.others.values());
        windows.map(|window| window.until).min()
    }

    /// What was counted in intervals that have ended. Where nothing was, the next event counts as the first again.
    pub(super) fn due(&mut self, now: Instant, interval: Duration) -> Vec<Notice> {
        let mut notices = Vec::new();
        let mut goes_on = |window: &mut Window| {
            if window.until > now {
                return true;
            }
            window.until = now + interval;
            let held = window.held.take();
            let has_told = held.is_some();
            notices.extend(held);
            has_told
        };
        self.windows.retain(|_, window| goes_on(window));
        self.others.retain(|_, window| goes_on(window));
        notices
    }

    /// Everything that was counted, before the end.
    pub(super) fn rest(self) -> Vec<Notice> {
        let windows = self.windows.into_values().chain(self.others.into_values());
        windows.filter_map(|window| window.held).collect()
    }
}

/// Whether clients decide how many subjects there are. A conflict is about the host of an immutable URL, which a client
/// has chosen as well.
fn is_bounded_by_us(event: &Event) -> bool {
    match event {
        Event::UpstreamFailed { chosen_by, .. } => *chosen_by == ChosenBy::Client,
        Event::Conflict { .. } => true,
        Event::Corrupt { .. }
        | Event::DiskFull { .. }
        | Event::StoreSuspect { .. }
        | Event::DiskLost { .. }
        | Event::DiskBack { .. }
        | Event::RebuildDone { .. } => false,
    }
}

impl Window {
    fn new(until: Instant, bounded: bool) -> Self {
        Self {
            until,
            held: None,
            bounded,
        }
    }

    fn hold(&mut self, event: Event, about: About, now: Moment) {
        let held = self.held.take();
        let (count, first, mut examples) = match held {
            Some(held) => (held.count, held.first_unix_seconds, held.examples),
            None => (0, now.unix_seconds, Vec::new()),
        };
        if let Some(example) = example_of(&event)
            && examples.len() < EXAMPLES_MAX
            && !examples.iter().any(|known| known == example)
        {
            examples.push(example.to_owned());
        }
        self.held = Some(Notice {
            event,
            about,
            count: count.saturating_add(1),
            first_unix_seconds: first,
            last_unix_seconds: now.unix_seconds,
            examples,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    struct Desk {
        digest: Digest,
        start: Instant,
        crowded: Counter,
    }

    impl Desk {
        fn new() -> Self {
            Self {
                digest: Digest::default(),
                start: Instant::now(),
                crowded: Counter::default(),
            }
        }

        fn admit(&mut self, at_seconds: u64, host: &str) -> Option<Notice> {
            self.admit_of(ChosenBy::Client, at_seconds, host)
        }

        fn admit_of(&mut self, chosen_by: ChosenBy, at_seconds: u64, host: &str) -> Option<Notice> {
            let event = Event::UpstreamFailed {
                authority: host.to_owned(),
                url: format!("http://{host}/{at_seconds}"),
                error: "answered 503".to_owned(),
                chosen_by,
            };
            let now = Moment {
                instant: self.start + Duration::from_secs(at_seconds),
                unix_seconds: at_seconds,
            };
            self.digest.admit(event, now, HOUR, &self.crowded)
        }

        fn due(&mut self, at_seconds: u64) -> Vec<(About, u64, u64, u64)> {
            let now = self.start + Duration::from_secs(at_seconds);
            let due = self.digest.due(now, HOUR);
            let short = |notice: Notice| {
                (
                    notice.about,
                    notice.count,
                    notice.first_unix_seconds,
                    notice.last_unix_seconds,
                )
            };
            due.into_iter().map(short).collect()
        }
    }

    #[test]
    fn the_first_is_told_at_once_and_the_others_when_the_interval_ends() {
        let mut desk = Desk::new();
        assert_eq!(desk.admit(0, "one").unwrap().about, About::First);
        assert_eq!(desk.admit(1, "other").unwrap().about, About::First);
        for at in 10..20 {
            assert_eq!(desk.admit(at, "one"), None);
        }
        assert_eq!(desk.due(3599), []);
        assert_eq!(desk.due(3600), [(About::Since, 10, 10, 19)]);
        // Of the other nothing came: it counts as new again.
        assert_eq!(desk.due(3601), []);
        assert!(desk.admit(3602, "other").is_some());
        assert_eq!(desk.admit(3602, "one"), None, "told of a moment ago");
        assert_eq!(desk.due(7200), [(About::Since, 1, 3602, 3602)]);
    }

    #[test]
    fn ever_new_hosts_are_counted_together() {
        let mut desk = Desk::new();
        let told = (0..1000).filter(|number| desk.admit(0, &format!("h{number}")).is_some());
        assert_eq!(told.count(), SUBJECTS_MAX);
        assert_eq!(desk.crowded.get(), 1000 - SUBJECTS_MAX as u64);
        let others = 1000 - SUBJECTS_MAX as u64;
        assert_eq!(desk.due(3600), [(About::Others, others, 0, 0)]);
        assert_eq!(desk.digest.windows.len(), 0);
        assert_eq!(desk.due(7200), []);
        assert_eq!(desk.digest.next(), None, "nothing is kept for ever");
    }

    #[test]
    fn what_clients_choose_takes_no_place_from_a_mirror() {
        let mut desk = Desk::new();
        (0..1000).for_each(|number| drop(desk.admit(0, &format!("h{number}"))));
        let mirror = desk.admit_of(ChosenBy::Operator, 1, "mirror");
        assert_eq!(mirror.unwrap().about, About::First);
    }

    #[test]
    fn a_summary_names_a_few_and_the_end_loses_nothing() {
        let mut desk = Desk::new();
        (0..10).for_each(|at| drop(desk.admit(at, "one")));
        desk.admit(11, "silent");
        let rest = desk.digest.rest();
        assert_eq!(rest.len(), 1);
        assert_eq!(rest[0].count, 9);
        assert_eq!(rest[0].examples.len(), EXAMPLES_MAX);
    }
}
