//! What is true: every version that was ever published, and everything that the origin has said, in order.
//!
//! Order is counted in ticks, one for each thing that happens; time is the manual clock's. An answer is judged by what
//! the origin had said about its version by then, and never by what the engine says of itself, but for the outcome that
//! it claims.

use super::origin::{VERSION, name, value};
use super::purges::Purge;
use bytes::Bytes;
use http::HeaderMap;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

/// The languages of a page that varies.
pub(super) const LANGUAGES: usize = 2;

/// So much of the journal is kept.
const NOTES_MAX: usize = 200;

/// What an origin says of freshness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Saying {
    pub(super) max_age: u64,
    pub(super) while_revalidating: Option<u64>,
    pub(super) if_error: Option<u64>,
    pub(super) must_revalidate: bool,
    pub(super) no_cache: bool,
    pub(super) public: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Validator {
    Strong,
    Weak,
    Date,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Well,
    Unreachable,
    Sick(u16),
    /// Conditional requests are answered by a 304 that names another version.
    Lying,
}

#[derive(Debug)]
pub(super) struct Version {
    pub(super) bodies: [Bytes; LANGUAGES],
    pub(super) validator: Validator,
}

/// One URL at its origin.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) url: &'static str,
    pub(super) varies: bool,
    pub(super) versions: Vec<Version>,
    pub(super) saying: Saying,
    pub(super) mode: Mode,
    pub(super) chunked: bool,
    pub(super) ranges: bool,
    /// Even the head of an answer waits at the gate.
    pub(super) slow: bool,
    /// 304s say nothing of freshness.
    pub(super) terse: bool,
    /// Where bodies break, counted from the start of the whole.
    pub(super) breaks: VecDeque<usize>,
}

/// Of which bytes something is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Told {
    pub(super) page: usize,
    pub(super) version: usize,
    pub(super) language: usize,
}

/// The origin stood by a version: it sent it, a part of it, its head, or a 304.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vouch {
    pub(super) tick: u64,
    /// When it was asked.
    pub(super) asked: u64,
    /// Which bytes of the whole came with it; none with a 304 or a head.
    pub(super) sent: Option<(usize, usize)>,
    pub(super) at: Duration,
    pub(super) told: Told,
    /// `None`: a 304 that left everything as it was.
    pub(super) saying: Option<Saying>,
}

/// A body on its way.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) id: u64,
    pub(super) asked: u64,
    pub(super) at: Duration,
    pub(super) page: usize,
    /// A whole response to a request that could have been anybody's.
    pub(super) shared: Option<Told>,
    /// For so many seconds others may join it.
    pub(super) fresh_for: u64,
}

/// An unsafe request: from the tick at which the origin had carried it out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Invalidation {
    pub(super) page: usize,
    pub(super) begun: u64,
    pub(super) acknowledged: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Book {
    tick: u64,
    /// The manual clock's, at the last answer.
    pub(super) now: Duration,
    pub(super) pages: Vec<Page>,
    vouches: HashMap<Told, Vec<Vouch>>,
    failures: Vec<(usize, u64, Duration)>,
    breaks: Vec<(usize, u64)>,
    /// The last tick of anything that may change what is stored, by page.
    touched: HashMap<usize, u64>,
    invalidations: Vec<Invalidation>,
    pub(super) purges: Vec<Purge>,
    running: Vec<Running>,
    /// Two bodies at once where one would have done.
    doubled: Vec<(usize, String)>,
    /// Pages that were asked for besides a shared fetch, with reason, since nothing ran for the last time.
    pub(super) alone: HashSet<usize>,
    /// When nothing ran for the last time.
    pub(super) idle: u64,
    /// What happened lately, in order.
    pub(super) journal: VecDeque<String>,
}

impl Saying {
    pub(super) fn field(self) -> String {
        let mut text = format!("max-age={}", self.max_age);
        let mut add = |part: String| text = format!("{text}, {part}");
        if let Some(seconds) = self.while_revalidating {
            add(format!("stale-while-revalidate={seconds}"));
        }
        if let Some(seconds) = self.if_error {
            add(format!("stale-if-error={seconds}"));
        }
        for (said, word) in [
            (self.must_revalidate, "must-revalidate"),
            (self.no_cache, "no-cache"),
            (self.public, "public"),
        ] {
            if said {
                add(word.to_owned());
            }
        }
        text
    }
}

impl Page {
    /// ETag and Last-Modified of a version.
    pub(super) fn validators(
        &self,
        version: usize,
        language: usize,
    ) -> (Option<String>, Option<String>) {
        let (minute, second) = (version / 60, version % 60);
        match self.versions[version].validator {
            Validator::Strong => (Some(format!("\"{version}-{language}\"")), None),
            Validator::Weak => (Some(format!("W/\"{version}-{language}\"")), None),
            Validator::Date => {
                let date = format!("Mon, 01 Jan 2024 00:{minute:02}:{second:02} GMT");
                (None, Some(date))
            }
            Validator::None => (None, None),
        }
    }

    /// The tags of a version: its host, and whether its number is odd.
    pub(super) fn tags(&self, version: usize) -> [String; 2] {
        let host = self.url.split('/').nth(2).unwrap_or_default();
        let parity = if version % 2 == 1 { "odd" } else { "even" };
        [host, parity].map(str::to_owned)
    }

    /// The fields of an answer about a version.
    pub(super) fn fields(&self, version: usize, language: usize) -> HeaderMap {
        let mut fields = HeaderMap::new();
        let (tag, date) = self.validators(version, language);
        let vary = self.varies.then(|| "accept-language".to_owned());
        for (field, text) in [("etag", tag), ("last-modified", date), ("vary", vary)] {
            if let Some(text) = text {
                fields.insert(name(field), value(&text));
            }
        }
        fields.insert("cache-control", value(&self.saying.field()));
        fields.insert(VERSION, value(&format!("{version}-{language}")));
        fields.insert("surrogate-key", value(&self.tags(version).join(" ")));
        fields
    }
}

impl Book {
    /// Something happens.
    pub(super) fn tick(&mut self) -> u64 {
        self.tick += 1;
        self.tick
    }

    /// Writes down what happens, for whoever looks for the reason of a failure.
    pub(super) fn note(&mut self, what: String) {
        let tick = self.tick();
        self.journal.push_back(format!("{tick:>6}  {what}"));
        if self.journal.len() > NOTES_MAX {
            self.journal.pop_front();
        }
    }

    /// What is stored of a page may change now.
    pub(super) fn touch(&mut self, page: usize) -> u64 {
        let tick = self.tick();
        self.touched.insert(page, tick);
        tick
    }

    pub(super) fn page(&self, url: &str) -> usize {
        let found = self.pages.iter().position(|page| page.url == url);
        found.expect("a page of the model")
    }

    pub(super) fn vouch(&mut self, vouch: Vouch) {
        let tick = self.touch(vouch.told.page);
        let said = self.vouches.entry(vouch.told).or_default();
        said.push(Vouch { tick, ..vouch });
    }

    pub(super) fn failed(&mut self, page: usize, at: Duration) {
        let tick = self.tick();
        self.failures.push((page, tick, at));
    }

    pub(super) fn broke(&mut self, page: usize) {
        self.pages[page].breaks.pop_front();
        let tick = self.tick();
        self.breaks.push((page, tick));
    }

    pub(super) fn begin_invalidation(&mut self, page: usize) -> usize {
        let begun = self.touch(page);
        self.invalidations.push(Invalidation {
            page,
            begun,
            acknowledged: None,
        });
        self.invalidations.len() - 1
    }

    pub(super) fn end_invalidation(&mut self, number: usize) {
        let tick = self.touch(self.invalidations[number].page);
        self.invalidations[number].acknowledged = Some(tick);
    }

    /// Nothing that was said up to this tick counts any more for who comes at `started`.
    pub(super) fn floor(&self, page: usize, started: u64) -> u64 {
        let before = self.invalidations.iter().filter(|invalidation| {
            let known = invalidation.acknowledged.is_some_and(|tick| tick < started);
            invalidation.page == page && known
        });
        before
            .map(|invalidation| invalidation.begun)
            .max()
            .unwrap_or(0)
    }

    /// Whether an unsafe request of a page was being answered at `tick` or later.
    fn is_invalidated_since(&self, page: usize, tick: u64) -> bool {
        let mut invalidations = self.invalidations.iter();
        invalidations.any(|invalidation| {
            let is_past = invalidation.acknowledged.is_some_and(|end| end < tick);
            invalidation.page == page && !is_past
        })
    }

    /// Whether nothing has happened since that may have changed what is stored.
    pub(super) fn is_untouched(&self, page: usize, since: u64) -> bool {
        self.touched.get(&page).is_none_or(|tick| *tick <= since)
    }

    pub(super) fn start(&mut self, mut running: Running) -> u64 {
        let tick = self.tick();
        running.id = tick;
        if let Some(told) = running.shared {
            let lasting = |other: &&Running| {
                // Who comes at `at` may join what was asked for and is not too old by then.
                let age = self.now.saturating_sub(other.at);
                let is_fresh = age < Duration::from_secs(other.fresh_for);
                other.shared == Some(told)
                    && is_fresh
                    // Overtaken by a change it may not be joined, also where it was asked only afterwards.
                    && !self.is_invalidated_since(other.page, self.idle)
                    && !self.is_passed_over_since(other.page, self.idle)
            };
            if let Some(other) = self.running.iter().find(lasting) {
                let what = format!(
                    "{told:?} asked at {}, answered at {tick} beside {} and {}",
                    running.asked, other.asked, other.id
                );
                self.doubled.push((told.page, what));
            }
        }
        self.running.push(running);
        tick
    }

    pub(super) fn end(&mut self, running: u64) {
        self.running.retain(|other| other.id != running);
    }

    /// Nothing runs any more: what was fetched twice at once, without a reason, since the last time.
    pub(super) fn comes_to_rest(&mut self) -> Vec<String> {
        assert!(self.running.is_empty(), "bodies that nobody reads");
        let alone = std::mem::take(&mut self.alone);
        let mut doubled = std::mem::take(&mut self.doubled);
        doubled.retain(|(page, _)| !alone.contains(page));
        self.idle = self.tick();
        doubled.into_iter().map(|(_, what)| what).collect()
    }

    /// Everything said about one version, oldest first.
    pub(super) fn said(&self, told: Told) -> &[Vouch] {
        self.vouches.get(&told).map_or(&[], Vec::as_slice)
    }

    /// What may have been known of freshness after `vouch`.
    pub(super) fn sayings(&self, vouch: &Vouch) -> Vec<Saying> {
        vouch.saying.map_or_else(
            || {
                let said = self.said(vouch.told).iter();
                let earlier = said.filter(|other| other.tick < vouch.tick);
                earlier.filter_map(|other| other.saying).collect()
            },
            |saying| vec![saying],
        )
    }

    /// Whether the host of a page failed at `from` or later, or after `tick`.
    pub(super) fn has_failed(&self, page: usize, from: Duration, tick: u64) -> bool {
        let host = |page: usize| self.pages[page].url.split('/').nth(2);
        let mut failures = self.failures.iter();
        failures
            .any(|(other, told, at)| host(*other) == host(page) && (*at >= from || *told > tick))
    }

    /// Whether a body of a page broke, or was replaced by another version, after `tick`.
    pub(super) fn has_broken(&self, page: usize, tick: u64) -> bool {
        let mut breaks = self.breaks.iter();
        breaks.any(|(other, at)| *other == page && *at > tick)
    }
}
