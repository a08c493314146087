//! The judge: what a client got, against the book.

use super::Model;
use super::book::{Book, Saying, Told, Vouch};
use super::client::{Client, Got, Insists, asked_by, told_by};
use crate::engine::Entry;
use crate::engine::tests::world::stored;
use std::time::Duration;
use weir_policies::outcome::Outcome;
use weir_policies::purge::PurgeMode;
use weir_policies::target::Target;

/// How long after a failure its origin may still be left alone: the longest a breaker stays open, and the hold-down.
const LEFT_ALONE: Duration = Duration::from_secs(31);

/// Whether what the origin said at `vouch` allows this answer to this client.
fn allows(book: &Book, client: &Client, outcome: Outcome, vouch: &Vouch) -> bool {
    if vouch.tick > client.started {
        return true;
    }
    // Asked before this client came, by a flight that may have been joined.
    let may_be_joined = vouch.tick > client.idle;
    let age = client.at.saturating_sub(vouch.at).as_secs();
    let asks = client.wish.insists;
    let any = |rule: &dyn Fn(Saying) -> bool| book.sayings(vouch).into_iter().any(rule);
    match outcome {
        Outcome::Hit => any(&|saying| {
            let stale = age.saturating_sub(saying.max_age);
            let wanted = matches!(asks, Insists::MaxStale(seconds) if stale <= seconds);
            let lasting = age < saying.max_age || (wanted && !saying.must_revalidate);
            lasting && !saying.no_cache && asks != Insists::NoCache
        }),
        Outcome::StaleWhileRevalidate => any(&|saying| {
            let until = saying.max_age + saying.while_revalidating.unwrap_or(0);
            let lingers = saying.while_revalidating.is_some() && age <= until;
            lingers && !saying.must_revalidate && !saying.no_cache && asks != Insists::NoCache
        }),
        Outcome::StaleIfError => any(&|saying| {
            let window = saying.if_error.or(client.wish.stale_for);
            let window = window.max(saying.while_revalidating);
            let allowed = window.is_some_and(|window| age <= saying.max_age + window);
            let stale = age >= saying.max_age;
            !saying.no_cache && (!stale || (allowed && !saying.must_revalidate))
        }),
        Outcome::Revalidated | Outcome::Joined => may_be_joined,
        _ => false,
    }
}

impl Model {
    pub(super) fn check(&mut self, client: &Client) {
        let book = self.book.lock();
        let page = client.wish.page;
        let failing = |why: &str| {
            format!(
                "{why}: tick {} at {:?}, idle at {}, {:?} {:?} {:?} ttl {:?} {} {:?}",
                client.started,
                client.at,
                client.idle,
                client.wish,
                client.outcome,
                client.told,
                client.ttl,
                summary(&client.got),
                client.failure,
            )
        };
        let body = match &client.got {
            Got::Failed => {
                // A breaker that has been open stays so until somebody has asked again, whenever that is.
                let since = if client.is_suspended() {
                    Duration::ZERO
                } else {
                    client.at.saturating_sub(LEFT_ALONE)
                };
                let failed = book.has_failed(page, since, client.idle);
                return assert!(failed, "{}", failing("failed without a reason"));
            }
            Got::NotCached => {
                let asked = client.wish.insists == Insists::OnlyIfCached;
                return assert!(asked, "{}", failing("nobody wanted it from the cache only"));
            }
            Got::Unsatisfiable => return,
            Got::Head => None,
            Got::Body(body) | Got::Cut(body) => Some(body),
        };
        let told = client
            .told
            .unwrap_or_else(|| panic!("{}", failing("no version")));
        assert!(
            !book.pages[page].varies || told.language == client.wish.language,
            "{}",
            failing("another variant")
        );
        if let Some(body) = body {
            let whole = &book.pages[page].versions[told.version].bodies[told.language];
            let (from, to) = client.slice.unwrap_or((0, whole.len()));
            let expected = whole.get(from..to.min(whole.len())).unwrap_or_default();
            if matches!(client.got, Got::Body(_)) {
                assert!(body == expected, "{}", failing("not that version's bytes"));
            } else {
                let broke = client.left || book.has_broken(page, client.idle) || self.stops_unread;
                assert!(broke, "{}", failing("cut without a reason"));
                assert!(
                    expected.starts_with(body),
                    "{}",
                    failing("not the beginning")
                );
            }
        }
        let outcome = client.outcome.expect("an answer has an outcome");
        let is_own = matches!(outcome, Outcome::Uncached(_) | Outcome::Bypass);
        if !is_own || body.is_some() {
            let (from, _) = client.slice.unwrap_or_default();
            let end = from + body.map_or(0, Vec::len);
            let floor = book.purge_floor(told, client.started, &[PurgeMode::Remove]);
            assert!(
                client.asked.is_none_or(|asked| asked > floor)
                    && book.was_sent_since(floor, told, (from, end)),
                "{}\nsaid: {:#?}\npurged up to {floor}",
                failing("purged"),
                book.said(told),
            );
        }
        if client.wish.immutable {
            // Who brings credentials is answered from what is meant for all of them only (RFC 9111 §3.5).
            let is_alone = client.wish.credentials || matches!(outcome, Outcome::Uncached(_));
            let original = self.originals[page];
            let is_original = is_alone
                || original.is_none_or(|(version, seen)| {
                    let bytes = |version: usize| &book.pages[page].versions[version].bodies[0];
                    let first = Told { version, ..told };
                    bytes(version) == bytes(told.version)
                        || seen > client.started
                        || book.is_removed_since(first, seen)
                });
            return assert!(is_original, "{} {original:?}", failing("not the original"));
        }
        if outcome == Outcome::StaleIfError {
            let since = client.at.saturating_sub(LEFT_ALONE);
            let failed = book.has_failed(page, since, client.idle);
            assert!(failed, "{}", failing("stale although nothing failed"));
        }
        let mut said = book.still_said(told, client.started);
        assert!(
            said.any(|vouch| allows(&book, client, outcome, vouch)),
            "{}\nsaid: {:#?}\ninvalidated up to {}, purges: {:#?}",
            failing("staler than allowed"),
            book.said(told),
            book.floor(page, client.started),
            book.purges,
        );
    }

    /// What is stored has the bytes, the validators and the freshness of one version each.
    pub(super) async fn check_stored(&self) {
        let pages = self.book.lock().pages.len();
        for page in 0..pages {
            let url = self.book.lock().pages[page].url;
            let target = Target::parse(url).expect("a URL");
            let engine = &self.world.engine;
            let mut objects = engine.holdings(&target).await.plain;
            let conflict = Entry::Plain.conflict_key(&target);
            objects.extend(engine.store.lookup(&conflict).await);
            for object in objects {
                let head = object.head();
                let told = told_by(page, &head.headers).expect("a version");
                let body = stored(&object).await;
                let mut book = self.book.lock();
                let now = book.tick();
                let floor = book.purge_floor(told, now, &[PurgeMode::Remove]);
                assert!(
                    asked_by(&head.headers).is_some_and(|asked| asked > floor)
                        && book.was_sent_since(floor, told, (0, body.len())),
                    "{url}: {told:?} was purged up to {floor}, and is stored: {:#?}",
                    book.said(told)
                );
                let version = &book.pages[page].versions[told.version];
                assert!(
                    body == version.bodies[told.language],
                    "{url}: the bytes are not those of {told:?}"
                );
                let text = |field: &str| {
                    let value = head.headers.get(field)?;
                    value.to_str().ok().map(str::to_owned)
                };
                let (tag, date) = book.pages[page].validators(told.version, told.language);
                assert_eq!((text("etag"), text("last-modified")), (tag, date), "{url}");
                let control = text("cache-control");
                let start = self.start.as_secs();
                let at = u64::try_from(head.exchange.responded.0).expect("after 1970") - start;
                let mut said = book.said(told).iter();
                assert!(
                    said.any(|vouch| vouch.at.as_secs() == at
                        && book
                            .sayings(vouch)
                            .iter()
                            .any(|saying| Some(saying.field()) == control)),
                    "{url}: a head that nobody sent: {:?} at {at}\n{:#?}",
                    head.headers,
                    book.said(told)
                );
            }
        }
    }
}

fn summary(got: &Got) -> String {
    match got {
        Got::Body(body) => format!("whole, {} bytes", body.len()),
        Got::Cut(body) => format!("cut, {} bytes", body.len()),
        other => format!("{other:?}"),
    }
}
