//! What was purged, and what may still be used in spite of it.
//!
//! A purge holds for what was asked of the origin before it was asked for. What is asked while it is being carried out
//! may fall on either side; once it is acknowledged, the former is never seen again by whoever comes later: removed
//! bytes not at all, marked ones not without a newer word of their origin. One that was cut down by a kill is in force
//! afterwards or not, so it proves nothing.

use super::book::{Book, Told, Vouch};
use weir_policies::purge::{PurgeMode, PurgeScope};

#[derive(Debug)]
pub(super) struct Purge {
    scope: PurgeScope,
    mode: PurgeMode,
    /// The tick at which it was asked for.
    begun: u64,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Running,
    Acknowledged(u64),
    Killed(u64),
}

impl Purge {
    /// Whether it may have taken something away from who comes at `tick` or later.
    fn is_felt_at(&self, tick: u64) -> bool {
        match self.end {
            End::Running => true,
            End::Acknowledged(end) | End::Killed(end) => end >= tick,
        }
    }
}

impl Book {
    pub(super) fn begin_purge(&mut self, scope: PurgeScope, mode: PurgeMode) -> usize {
        let begun = self.touch_all(&scope);
        self.note(format!("purge of {scope} begins, {mode:?}"));
        self.purges.push(Purge {
            scope,
            mode,
            begun,
            end: End::Running,
        });
        self.purges.len() - 1
    }

    pub(super) fn end_purge(&mut self, number: usize) {
        let scope = self.purges[number].scope.clone();
        let end = self.touch_all(&scope);
        self.note(format!("purge of {scope} acknowledged"));
        self.purges[number].end = End::Acknowledged(end);
    }

    /// Whatever was being purged is purged now or never.
    pub(super) fn kill_purges(&mut self) {
        let end = self.tick();
        for purge in &mut self.purges {
            if purge.end == End::Running {
                purge.end = End::Killed(end);
            }
        }
    }

    fn touch_all(&mut self, scope: &PurgeScope) -> u64 {
        let pages = 0..self.pages.len();
        for page in pages {
            if scope.may_cover(self.pages[page].url) {
                self.touch(page);
            }
        }
        self.tick()
    }

    /// Whether a fetch for a page that ran at `tick` or later may have been passed over by a purge.
    pub(super) fn is_passed_over_since(&self, page: usize, tick: u64) -> bool {
        let url = self.pages[page].url;
        let mut purges = self.purges.iter();
        purges.any(|purge| purge.scope.may_cover(url) && purge.is_felt_at(tick))
    }

    /// Whether a version may have been removed by a purge at `tick` or later.
    pub(super) fn is_removed_since(&self, told: Told, tick: u64) -> bool {
        let mut hard = self
            .purges
            .iter()
            .filter(|purge| purge.mode == PurgeMode::Remove);
        hard.any(|purge| {
            let mut same = self.with_the_bytes_of(told);
            purge.is_felt_at(tick) && same.any(|version| self.covers(&purge.scope, told, version))
        })
    }

    /// What was asked up to this tick does not count any more for who comes at `started`.
    pub(super) fn purge_floor(&self, told: Told, started: u64, modes: &[PurgeMode]) -> u64 {
        let holding = self.purges.iter().filter(|purge| {
            let is_known = matches!(purge.end, End::Acknowledged(end) if end < started);
            // Under another version with the same bytes they may be stored just as well.
            let mut same = self.with_the_bytes_of(told);
            is_known
                && modes.contains(&purge.mode)
                && same.all(|version| self.covers(&purge.scope, told, version))
        });
        holding.map(|purge| purge.begun).max().unwrap_or(0)
    }

    fn covers(&self, scope: &PurgeScope, told: Told, version: usize) -> bool {
        let page = &self.pages[told.page];
        scope.covers(page.url, &page.tags(version))
    }

    fn with_the_bytes_of(&self, told: Told) -> impl Iterator<Item = usize> {
        let versions = &self.pages[told.page].versions;
        let body = move |version: usize| &versions[version].bodies[told.language];
        (0..versions.len()).filter(move |other| body(*other) == body(told.version))
    }

    /// Whether the origin has sent all of `wanted` in answers to what was asked after `floor`.
    pub(super) fn was_sent_since(&self, floor: u64, told: Told, wanted: (usize, usize)) -> bool {
        let said = self.said(told).iter();
        let mut sent: Vec<_> = said
            .filter(|vouch| vouch.asked > floor)
            .filter_map(|vouch| vouch.sent)
            .collect();
        if sent.is_empty() {
            return false;
        }
        sent.sort_unstable();
        let (mut from, end) = wanted;
        for (first, last) in sent {
            if first <= from {
                from = from.max(last);
            }
        }
        from >= end
    }

    /// Everything that was said of a version and that neither an unsafe request nor a purge has overtaken for who comes
    /// at `started`.
    pub(super) fn still_said(&self, told: Told, started: u64) -> impl Iterator<Item = &Vouch> {
        let floor = self.floor(told.page, started);
        let asked = self.purge_floor(told, started, &[PurgeMode::Remove, PurgeMode::Stale]);
        let said = self.said(told).iter();
        said.filter(move |vouch| vouch.tick > floor && vouch.asked > asked)
    }
}
