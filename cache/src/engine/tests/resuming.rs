//! Bodies that break off and are continued, or not.

use super::URL;
use super::origin::Script;
use super::world::{Got, World, content, outcome, read, request};
use http::Method;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use weir_policies::outcome::Outcome;
use weir_policies::target::Target;

const MIRROR: &str = "http://mirror.test/file-1.0.tar.gz";

fn tagged(body: Vec<u8>) -> Script {
    Script::body(body).header("etag", "\"1\"")
}

#[tokio::test]
async fn row_131_a_broken_body_is_continued_and_the_client_notices_nothing() {
    for chunked in [false, true] {
        let world = World::new().await;
        let body = content(1, 500_000);
        let script = Script {
            chunked,
            ..tagged(body.clone())
        };
        world.script(
            URL,
            script.breaking_at([0, 1, 100_000, 100_000, 100_000, 499_999]),
        );
        assert_eq!(
            world.get(URL).await,
            (Got::Whole(body.clone()), Some(Outcome::Miss))
        );
        world.settle().await;
        assert_eq!(world.get(URL).await, (Got::Whole(body), Some(Outcome::Hit)));
        let asked = world.origin.asked(URL);
        assert_eq!((asked.gets, asked.ranged), (7, 6));
        assert_eq!(world.engine.stats().fills_resumed.get(), 6);
    }
}

#[tokio::test]
async fn a_broken_body_that_is_continued_by_more_than_it_announced_is_cut_and_not_stored() {
    let world = World::new().await;
    let longer = content(1, 400_000);
    let announced = longer[..300_000].to_vec();
    let (script, gate) = tagged(announced.clone()).breaking_at([100_000]).gated();
    world.script(URL, script);
    let answer = world.engine.fetch(&request(Method::GET, URL, &[])).await;
    let without_a_length = Script {
        chunked: true,
        no_ranges: true,
        ..tagged(longer)
    };
    world.script(URL, without_a_length);
    gate.add_permits(1000);
    let Got::Cut(got) = read(answer).await else {
        panic!("a body that is not what was announced looks whole");
    };
    assert!(announced.starts_with(&got), "{} bytes", got.len());
    world.settle().await;
    assert_ne!(world.get(URL).await.1, Some(Outcome::Hit));
}

#[tokio::test]
async fn an_origin_that_dies_at_200_random_points_is_not_noticed() {
    let seed = std::env::var("WEIR_SEED").map_or_else(
        |_| SmallRng::from_os_rng().random(),
        |seed| seed.parse().expect("a number"),
    );
    println!("WEIR_SEED={seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let world = World::new().await;
    let body = content(2, 8_000_000);
    let mut points: Vec<usize> = (0..200)
        .map(|_| random.random_range(0..body.len()))
        .collect();
    points.sort_unstable();
    points.dedup();
    let breaks = points.len();
    world.script(URL, tagged(body.clone()).breaking_at(points));
    let readers = futures::future::join_all((0..3).map(|_| world.get(URL))).await;
    assert!(
        readers
            .iter()
            .all(|(got, _)| *got == Got::Whole(body.clone()))
    );
    assert_eq!(world.engine.stats().fills_resumed.get(), breaks as u64);
    world.settle().await;
    assert_eq!(world.get(URL).await.1, Some(Outcome::Hit));
}

#[tokio::test]
async fn without_a_strong_validator_a_broken_body_is_cut() {
    for validator in [None, Some("W/\"1\"")] {
        let world = World::new().await;
        let body = content(3, 300_000);
        let mut script = Script::body(body.clone()).breaking_at([100_000]);
        if let Some(tag) = validator {
            script = script.header("etag", tag);
        }
        world.script(URL, script);
        assert_eq!(world.get(URL).await.0, Got::Cut(body[..100_000].to_vec()));
        assert_eq!(world.origin.asked(URL).gets, 1);
    }
}

#[tokio::test]
async fn an_origin_that_ignores_ranges_repeats_and_the_rest_is_taken() {
    let world = World::new().await;
    let body = content(4, 300_000);
    let script = Script {
        no_ranges: true,
        ..tagged(body.clone())
    };
    world.script(URL, script.breaking_at([150_000]));
    assert_eq!(world.get(URL).await.0, Got::Whole(body));
}

#[tokio::test]
async fn row_137_an_object_that_changes_during_the_download_cuts_its_readers_and_becomes_a_new_one()
{
    let world = World::new().await;
    let (old, new) = (content(5, 300_000), content(6, 200_000));
    let (script, gate) = tagged(old.clone()).breaking_at([100_000]).gated();
    world.script(URL, script);
    let answer = world.fetch(URL, &[]).await;
    world.script(URL, Script::body(new.clone()).header("etag", "\"2\""));
    gate.add_permits(1000);
    assert_eq!(read(answer).await, Got::Cut(old[..100_000].to_vec()));
    world.settle().await;
    assert_eq!(world.get(URL).await, (Got::Whole(new), Some(Outcome::Hit)));
    assert_eq!(
        world.origin.asked(URL).gets,
        2,
        "the answer to the resumption is the new object"
    );
}

#[tokio::test]
async fn an_origin_that_never_gets_further_is_given_up() {
    let world = World::new().await;
    let body = content(7, 300_000);
    world.script(URL, tagged(body.clone()).breaking_at([100_000; 50]));
    assert_eq!(world.get(URL).await.0, Got::Cut(body[..100_000].to_vec()));
    assert_eq!(
        world.origin.asked(URL).gets,
        5,
        "the first, a free attempt, three with a pause"
    );
}

#[tokio::test]
async fn row_138_a_mirror_that_disagrees_is_set_aside_and_another_one_continues() {
    let third = "http://third.test/file-1.0.tar.gz";
    let world = World::new().await;
    let body = content(8, 300_000);
    // The first one dies and does not come back.
    world.script(URL, tagged(body.clone()).breaking_at([100_000; 50]));
    world.script(
        MIRROR,
        Script::body(content(9, 300_001)).header("etag", "\"9\""),
    );
    world.script(third, tagged(body.clone()));
    let answer = world
        .fetch_as(URL, |request| {
            let parse = |url| Target::parse(url).expect("a URL");
            request.resource.upstreams = vec![parse(URL), parse(MIRROR), parse(third)];
        })
        .await;
    assert_eq!(outcome(&answer), Some(Outcome::Miss));
    assert_eq!(read(answer).await, Got::Whole(body));
    assert_eq!(world.origin.asked(MIRROR).gets, 1);
    assert_eq!(world.origin.asked(third).gets, 1);
}

/// An origin that caps what it sends of a range.
fn capped(body: Vec<u8>, bytes: usize) -> Script {
    Script {
        range_bytes_max: Some(bytes),
        ..tagged(body)
    }
}

#[tokio::test]
async fn a_continuation_that_ends_early_is_continued_again() {
    for chunked in [false, true] {
        let world = World::new().await;
        let body = content(10, 200_000);
        let script = Script {
            chunked,
            ..capped(body.clone(), 70_000)
        };
        world.script(URL, script.breaking_at([30_000]));
        assert_eq!(
            world.get(URL).await.0,
            Got::Whole(body.clone()),
            "{chunked}"
        );
        world.settle().await;
        assert_eq!(world.get(URL).await, (Got::Whole(body), Some(Outcome::Hit)));
        assert_eq!(world.origin.asked(URL).ranged, 3);
    }
}

#[tokio::test]
async fn two_nodes_that_disagree_and_break_off_are_given_up() {
    let world = World::new().await;
    let body = content(11, 300_000);
    let script = Script {
        tags_alternate: true,
        ..tagged(body.clone())
    };
    world.script(URL, script.breaking_at([100_000; 1000]));
    assert!(matches!(world.get(URL).await.0, Got::Cut(_)));
    world.settle().await;
    let gets = world.origin.asked(URL).gets;
    assert!(gets <= 4, "{gets}");
}
