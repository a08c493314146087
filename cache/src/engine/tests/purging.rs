//! Purges as clients see them: what is found, what is fetched anew, and who still gets what was on its way.

use super::URL;
use super::origin::Script;
use super::world::{Got, World, content, read, request};
use crate::engine::{Answer, EntryKind, FetchRequest, Listed, Pinning};
use http::Method;
use weir_policies::effect::RangeMiss;
use weir_policies::outcome::Outcome;
use weir_policies::purge::{PurgeMode, PurgeScope};
use weir_policies::target::Target;

const MODES: [PurgeMode; 2] = [PurgeMode::Remove, PurgeMode::Stale];

fn script(body: &'static str, tag: &str) -> Script {
    let script = Script::body(body).header("etag", tag);
    script.header("surrogate-key", "release other")
}

fn whole(body: &str) -> Got {
    Got::Whole(body.as_bytes().to_vec())
}

fn target() -> Target {
    Target::parse(URL).expect("a URL")
}

/// Three ways to mean [`URL`].
fn scopes() -> [PurgeScope; 3] {
    [
        PurgeScope::url(&target()),
        PurgeScope::prefix("http://origin.test/file").expect("a prefix"),
        PurgeScope::tag("release").expect("a tag"),
    ]
}

async fn purge(world: &World, scope: &PurgeScope, mode: PurgeMode) -> super::super::Purged {
    world.engine.purge(scope, mode).await.expect("a purge")
}

async fn listed(world: &World) -> Vec<Listed> {
    let page = world.engine.survey(None, 100).await.expect("a page");
    assert_eq!(page.next, None);
    page.listed
}

#[tokio::test]
async fn what_is_purged_is_fetched_anew_or_asked_about() {
    for scope in scopes() {
        for mode in MODES {
            let world = World::new().await;
            world.script(URL, script("old", "\"1\""));
            world.get(URL).await;
            world.settle().await;
            assert_eq!(world.get(URL).await.1, Some(Outcome::Hit));
            let would = world.engine.would_purge(&scope).await.expect("a dry run");
            assert_eq!((would.objects, would.bytes), (1, 3), "{scope}");
            assert_eq!(
                world.get(URL).await.1,
                Some(Outcome::Hit),
                "{scope}: it was dry"
            );
            let purged = purge(&world, &scope, mode).await;
            assert_eq!(purged.objects, u64::from(!purged.is_pending), "{scope}");
            let expected = match mode {
                PurgeMode::Remove => Outcome::Miss,
                PurgeMode::Stale => Outcome::Revalidated,
            };
            assert_eq!(
                world.get(URL).await,
                (whole("old"), Some(expected)),
                "{scope}"
            );
            world.settle().await;
            assert_eq!(world.get(URL).await.1, Some(Outcome::Hit), "{scope}");
        }
    }
}

#[tokio::test]
async fn a_running_fill_serves_its_readers_and_is_neither_joined_nor_stored() {
    for scope in scopes() {
        for mode in MODES {
            let world = World::new().await;
            let (slow, gate) = script("old", "\"1\"").gated();
            world.script(URL, slow);
            let reader = world.fetch(URL, &[]).await;
            let purged = purge(&world, &scope, mode).await;
            assert_eq!(purged.flights, 1, "{scope}");
            world.script(URL, script("new", "\"2\""));
            assert_eq!(
                world.get(URL).await,
                (whole("new"), Some(Outcome::Miss)),
                "{scope}"
            );
            gate.add_permits(10);
            assert_eq!(read(reader).await, whole("old"), "{scope}");
            world.settle().await;
            assert_eq!(
                world.get(URL).await,
                (whole("new"), Some(Outcome::Hit)),
                "{scope}"
            );
            assert_eq!(listed(&world).await.len(), 1, "{scope}");
            assert_eq!(world.engine.stats().store_refused.get(), 0, "{scope}");
        }
    }
}

#[tokio::test]
async fn a_purge_of_something_else_leaves_running_fills_alone() {
    let others = [
        PurgeScope::url(&Target::parse("http://origin.test/other").expect("a URL")),
        PurgeScope::prefix("http://origin.test/other").expect("a prefix"),
        PurgeScope::tag("unknown").expect("a tag"),
    ];
    for scope in others {
        let world = World::new().await;
        let (slow, gate) = script("old", "\"1\"").gated();
        world.script(URL, slow);
        let reader = world.fetch(URL, &[]).await;
        assert_eq!(purge(&world, &scope, PurgeMode::Remove).await.flights, 0);
        gate.add_permits(10);
        assert_eq!(read(reader).await, whole("old"));
        world.settle().await;
        assert_eq!(world.get(URL).await.1, Some(Outcome::Hit), "{scope}");
    }
}

#[tokio::test]
async fn parts_go_with_their_url_and_are_not_put_together_from_before() {
    let range = |text: &str| -> FetchRequest {
        let mut request = request(Method::GET, URL, &[("range", text)]);
        let mut effect = (*request.plan.effect).clone();
        effect.range_miss = RangeMiss::Part;
        request.plan.effect = effect.into();
        request
    };
    for scope in scopes() {
        let world = World::new().await;
        world.script(URL, script("0123456789", "\"1\""));
        read(world.engine.fetch(&range("bytes=0-4")).await).await;
        world.settle().await;
        assert_eq!(listed(&world).await[0].entry, EntryKind::Part);
        let (slow, gate) = script("0123456789", "\"1\"").gated();
        world.script(URL, slow);
        let arriving = world.engine.fetch(&range("bytes=5-9")).await;
        purge(&world, &scope, PurgeMode::Remove).await;
        gate.add_permits(10);
        assert_eq!(read(arriving).await, whole("56789"));
        world.settle().await;
        assert_eq!(world.engine.stats().combined.get(), 0, "{scope}");
        assert!(listed(&world).await.is_empty(), "{scope}");
        let again = world.engine.fetch(&range("bytes=0-4")).await;
        assert!(matches!(again, Answer::Private { .. }), "{again:?}");
    }
}

#[tokio::test]
async fn a_failure_from_before_a_purge_answers_nobody_after_it() {
    for scope in scopes() {
        let world = World::new().await;
        world.script(URL, Script::error(404));
        assert_eq!(world.get(URL).await.0, Got::Status(404));
        world.script(URL, script("now", "\"1\""));
        purge(&world, &scope, PurgeMode::Stale).await;
        assert_eq!(world.get(URL).await.0, whole("now"), "{scope}");
    }
}

#[tokio::test]
async fn a_failure_that_arrives_after_a_purge_or_a_change_answers_only_those_who_wait() {
    for scope in scopes().into_iter().map(Some).chain([None]) {
        let world = World::new().await;
        let (slow, gate) = Script::error(404).gated();
        world.script(URL, slow);
        let client = world.get(URL);
        let between = async {
            while world.origin.asked(URL).running == 0 {
                tokio::task::yield_now().await;
            }
            match &scope {
                Some(scope) => assert_eq!(purge(&world, scope, PurgeMode::Stale).await.flights, 1),
                None => world.engine.invalidate(&target()).await,
            }
            gate.add_permits(10);
        };
        assert_eq!(tokio::join!(client, between).0.0, Got::Status(404));
        world.script(URL, script("now", "\"1\""));
        assert_eq!(world.get(URL).await.0, whole("now"), "{scope:?}");
    }
}

#[tokio::test]
async fn pins_are_set_taken_back_and_listed() {
    let world = World::new().await;
    world.script(
        URL,
        script("some", "\"1\"").header("content-type", "text/plain"),
    );
    world.get(URL).await;
    world.settle().await;
    for (pinning, is_pinned) in [(Pinning::Pin, true), (Pinning::Unpin, false)] {
        assert_eq!(
            world.engine.pin(&target(), pinning).await.expect("a pin"),
            1
        );
        let inventory = world.engine.inventory().await;
        assert_eq!(inventory.pinned, u64::from(is_pinned));
        assert_eq!((inventory.objects, inventory.bans_pending), (1, 0));
        let shown = listed(&world).await.remove(0);
        assert_eq!(shown.pinned, is_pinned);
        assert_eq!((shown.url.as_str(), shown.length), (URL, 4));
        assert_eq!(shown.entry, EntryKind::Plain);
        assert_eq!(shown.tags, ["release", "other"]);
        assert_eq!(shown.content_type.as_deref(), Some("text/plain"));
    }
    let other = Target::parse("http://origin.test/other").expect("a URL");
    assert_eq!(
        world.engine.pin(&other, Pinning::Pin).await.expect("none"),
        0
    );
}

#[tokio::test]
async fn with_an_expected_digest_its_readers_get_the_end_of_a_purged_fill() {
    let world = World::new().await;
    let body = content(1, 300_000);
    let sha256 = {
        use crate::engine::{Algorithms, BodyDigests};
        let mut digests = BodyDigests::new(Algorithms::Sha256);
        digests.update(&body);
        digests.finish().sha256
    };
    let (slow, gate) = Script::body(body.clone()).gated();
    world.script(URL, slow);
    let reader = world
        .fetch_as(URL, |request| {
            let mut effect = (*request.plan.effect).clone();
            effect.verify.sha256 = Some(sha256);
            request.plan.effect = effect.into();
        })
        .await;
    purge(&world, &scopes()[0], PurgeMode::Remove).await;
    gate.add_permits(1000);
    assert_eq!(read(reader).await, Got::Whole(body));
    world.settle().await;
    assert!(listed(&world).await.is_empty());
}
