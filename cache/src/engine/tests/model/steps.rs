//! What happens to the engine in one step: at its origin, by its clients and by its operator.

use super::book::{Mode, Saying, Validator, Version};
use super::client::{Client, Wish};
use super::{Model, PAGES};
use crate::engine::tests::world::content;
use crate::ports::Clock;
use crate::store::tests::maintain;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use rand::Rng;
use rand::rngs::SmallRng;
use std::sync::Arc;
use std::time::Duration;
use weir_policies::purge::{PurgeMode, PurgeScope};
use weir_policies::target::Target;

impl Model {
    pub(super) fn pass(&mut self) {
        let seconds = self.random.random_range(0..40);
        self.note(format!("{seconds} seconds pass"));
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub(super) fn saying(&mut self) -> Saying {
        let random = &mut self.random;
        let window = |random: &mut SmallRng| {
            let seconds = random.random_range(1..60);
            random.random_bool(0.3).then_some(seconds)
        };
        Saying {
            max_age: [0, 10, 30, 60][random.random_range(0..4)],
            while_revalidating: window(random),
            if_error: window(random),
            must_revalidate: random.random_bool(0.15),
            no_cache: random.random_bool(0.1),
            public: random.random_bool(0.5),
        }
    }

    /// A new version at the origin, whole and reachable.
    pub(super) fn publish(&mut self, page: usize) {
        let length = [0, 9, 5_000, 70_000, 300_000, 700_000][self.random.random_range(0..6)];
        let validator = match self.random.random_range(0..8) {
            0 => Validator::None,
            1 => Validator::Weak,
            2 => Validator::Date,
            _ => Validator::Strong,
        };
        let seed: u64 = self.random.random();
        let bodies = [0, 1].map(|language| Bytes::from(content(seed + language, length)));
        let mut book = self.book.lock();
        let there = &mut book.pages[page];
        there.versions.push(Version { bodies, validator });
        there.breaks.clear();
        let version = there.versions.len() - 1;
        drop(book);
        self.note(format!(
            "page {page}: version {version} of {length} bytes, {validator:?}"
        ));
    }

    /// The origin turns well, sick, silent or dishonest, with the version it has; or says something else of it.
    pub(super) fn turn(&mut self, page: usize) {
        let saying = self.saying();
        let mode = match self.random.random_range(0..9) {
            0 => Mode::Unreachable,
            1 => Mode::Sick(502),
            2 => Mode::Sick(503),
            3 => Mode::Lying,
            _ => Mode::Well,
        };
        let [chunked, terse] = [self.random.random(), self.random.random()];
        let [ranges, slow] = [0.8, 0.3].map(|chance| self.random.random_bool(chance));
        let mut book = self.book.lock();
        let there = &mut book.pages[page];
        there.mode = mode;
        (there.chunked, there.terse, there.ranges) = (chunked, terse, ranges);
        there.slow = slow;
        there.saying = saying;
        drop(book);
        let saying = saying.field();
        self.note(format!(
            "page {page}: {mode:?}, slow {slow}, chunked {chunked}, ranges {ranges}, terse {terse}, {saying}"
        ));
    }

    /// Bodies of this page are going to break.
    pub(super) fn tear(&mut self, page: usize) {
        let count = self.random.random_range(1..4);
        let mut breaks: Vec<usize> = (0..count)
            .map(|_| self.random.random_range(0..300_000))
            .collect();
        breaks.sort_unstable();
        if self.random.random_bool(0.2) {
            breaks = vec![breaks[0]; 4];
        }
        self.note(format!("page {page}: breaks at {breaks:?}"));
        self.book.lock().pages[page].breaks = breaks.into();
    }

    /// An unsafe request is carried out by the origin and answered through the engine.
    pub(super) fn invalidate(&mut self, page: usize) {
        if self.random.random_bool(0.7) {
            self.publish(page);
        }
        self.note(format!("page {page}: PUT"));
        let number = self.book.lock().begin_invalidation(page);
        let (engine, book) = (Arc::clone(&self.world.engine), Arc::clone(&self.book));
        let target = Target::parse(PAGES[page].0).expect("a URL");
        self.others.spawn(async move {
            let none = HeaderMap::new();
            engine
                .answered_unsafe(&Method::PUT, &target, StatusCode::NO_CONTENT, &none)
                .await;
            book.lock().end_invalidation(number);
        });
    }

    /// An operator wants a page, its folder or one of its tags gone, or asked about.
    pub(super) fn purge(&mut self, page: usize) {
        if self.random.random_bool(0.5) {
            self.publish(page);
        }
        let scope = self.scope(page);
        let mode = if self.random.random_bool(0.6) {
            PurgeMode::Remove
        } else {
            PurgeMode::Stale
        };
        let (engine, book) = (Arc::clone(&self.world.engine), Arc::clone(&self.book));
        self.others.spawn(async move {
            let number = book.lock().begin_purge(scope.clone(), mode);
            engine.purge(&scope, mode).await.expect("a purge");
            book.lock().end_purge(number);
        });
    }

    fn scope(&mut self, page: usize) -> PurgeScope {
        let target = Target::parse(PAGES[page].0).expect("a URL");
        match self.random.random_range(0..6) {
            0..2 => PurgeScope::url(&target),
            2 => PurgeScope::prefix(&format!("http://{}/", target.authority())).expect("a prefix"),
            3 => PurgeScope::prefix(&PAGES[page].0[..16]).expect("a prefix"),
            _ => {
                let book = self.book.lock();
                let version = book.pages[page].versions.len() - 1;
                let [host, parity] = book.pages[page].tags(version);
                drop(book);
                let tag = if self.random.random() { host } else { parity };
                PurgeScope::tag(&tag).expect("a tag")
            }
        }
    }

    /// The pass that comes every few seconds: what is purged is looked for, and purges end.
    pub(super) fn maintain(&mut self) {
        self.note("maintained".to_owned());
        let engine = Arc::clone(&self.world.engine);
        self.others
            .spawn(async move { maintain(engine.store.get().expect("a store")).await });
    }

    pub(super) fn warm(&mut self, page: usize) {
        let wish = self.plain(page, 0);
        self.note(format!("page {page}: warmed"));
        let engine = Arc::clone(&self.world.engine);
        self.others.spawn(async move {
            drop(engine.warm(&wish.request()).await);
        });
    }

    pub(super) fn plain(&self, page: usize, language: usize) -> Wish {
        let (url, _, immutable) = PAGES[page];
        Wish {
            immutable,
            ..Wish::plain(page, url, language)
        }
    }

    pub(super) fn start_client(&mut self, page: usize) {
        let (url, _, immutable) = PAGES[page];
        let mut wish = Wish::random(&mut self.random, page, url);
        wish.immutable = immutable;
        self.note(format!("{wish:?}"));
        let client = self.client(wish);
        self.clients
            .spawn(client.run(Arc::clone(&self.world.engine)));
    }

    pub(super) fn client(&self, wish: Wish) -> Client {
        let mut book = self.book.lock();
        let started = book.tick();
        Client::new(wish, started, self.clock.elapsed(), book.idle)
    }
}
