//! When nothing runs any more: at rest, after a kill, and at the end, when every page must be right again.

use super::book::{LANGUAGES, Mode, Told};
use super::client::{Client, Got, Insists, Wish};
use super::{LONG, Model, PAGES, Running, Seen};
use crate::device::memory::Survival;
use crate::ports::Clock;
use std::sync::Arc;
use std::time::Duration;
use weir_policies::outcome::Outcome;

impl Model {
    pub(super) fn arrived(&mut self, client: Client) {
        let (outcome, told) = (client.outcome, client.told);
        let started = client.started;
        self.note(format!("answered {started}: {outcome:?} {told:?}"));
        self.check(&client);
        if client.went_alone() {
            self.book.lock().alone.insert(client.wish.page);
        }
        let (Some(ttl), Some(told)) = (client.ttl, client.told) else {
            return;
        };
        let page = told.page;
        if client.wish.immutable {
            self.note_original(&client, told);
        }
        if client.outcome != Some(Outcome::Hit) || ttl <= 0 {
            return;
        }
        let lasting = Duration::from_secs(ttl.unsigned_abs());
        self.seen[page][told.language] = Some(Seen {
            version: told.version,
            idle: client.idle,
            fresh_until: client.at + lasting,
        });
    }

    /// What the store answers with behind an immutable URL stays, until it is purged.
    fn note_original(&mut self, client: &Client, told: Told) {
        let mut book = self.book.lock();
        let original = &mut self.originals[told.page];
        let purged = |(version, seen)| book.is_removed_since(Told { version, ..told }, seen);
        if original.is_some_and(purged) {
            *original = None;
        }
        if !book.is_removed_since(told, client.started) {
            original.get_or_insert((told.version, book.tick()));
        }
    }

    /// Lets every client and fill come to its end.
    pub(super) async fn settle(&mut self) {
        self.note("everything comes to its end".to_owned());
        self.origin.gate.add_permits(1_000_000);
        while let Some(client) = self.clients.join_next().await {
            self.arrived(client.expect("no client panics"));
        }
        while let Some(other) = self.others.join_next().await {
            other.expect("nobody panics");
        }
        let engine = &self.world.engine;
        engine.tasks().idle().await;
        self.origin.gate.forget_permits(usize::MAX);
        assert_eq!(engine.stats().fills_active.get(), 0);
        assert_eq!(engine.memory_taken_bytes(), 0);
        assert_eq!(engine.tasks().counts().panics, 0);
        let doubled = self.book.lock().comes_to_rest();
        assert!(doubled.is_empty(), "two fetches at once: {doubled:?}");
        self.check_stored().await;
    }

    /// kill -9: whatever the system calls have done stays, everything else is gone.
    pub(super) async fn kill(&mut self) {
        self.note("killed".to_owned());
        self.clients.abort_all();
        while self.clients.join_next().await.is_some() {}
        self.others.abort_all();
        while self.others.join_next().await.is_some() {}
        let device = Arc::new(self.world.device.surviving(Survival::Kill));
        // What the dead process would still do happens on the disk that nobody looks at any more.
        let engine = &self.world.engine;
        engine.close(Duration::ZERO).await;
        engine.tasks().idle().await;
        self.world = Running::on(device, &self.clock, &self.origin, &self.settings).await;
        // What was cut down in the middle proves nothing.
        self.book.lock().kill_purges();
        self.book.lock().comes_to_rest();
        self.check_stored().await;
        self.check_survivors().await;
        let paths = self.world.device.paths().into_iter();
        let left: Vec<_> = paths.filter(|path| path.starts_with("tmp/")).collect();
        assert!(left.is_empty(), "left behind in tmp: {left:?}");
    }

    /// What was seen in the store is still there, if nothing has happened that may have changed it.
    pub(super) async fn check_survivors(&mut self) {
        for page in 0..PAGES.len() {
            for language in 0..LANGUAGES {
                let Some(seen) = self.seen[page][language] else {
                    continue;
                };
                let untouched = self.book.lock().is_untouched(page, seen.idle);
                if !untouched || self.clock.elapsed() >= seen.fresh_until {
                    continue;
                }
                let wish = Wish {
                    insists: Insists::OnlyIfCached,
                    ..self.plain(page, language)
                };
                let client = self.client(wish);
                let client = client.run(Arc::clone(&self.world.engine)).await;
                let found = client.told.map(|told| told.version);
                assert_eq!(found, Some(seen.version), "page {page}: lost by a kill");
                self.arrived(client);
            }
        }
    }

    /// With a well origin everything is right again.
    pub(super) async fn heal(&mut self) {
        self.settle().await;
        self.clock.advance(LONG);
        self.note("healed".to_owned());
        for there in &mut self.book.lock().pages {
            there.mode = Mode::Well;
            there.breaks.clear();
        }
        for (page, (_, _, immutable)) in PAGES.into_iter().enumerate() {
            for language in 0..LANGUAGES {
                self.origin.gate.add_permits(1_000_000);
                let client = self.client(self.plain(page, language));
                let client = client.run(Arc::clone(&self.world.engine)).await;
                assert!(matches!(client.got, Got::Body(_)), "{client:?}");
                let latest = self.book.lock().pages[page].versions.len() - 1;
                let version = client.told.map(|told| told.version);
                if !immutable {
                    assert_eq!(version, Some(latest), "page {page}");
                }
                self.arrived(client);
                self.settle().await;
            }
        }
    }
}
