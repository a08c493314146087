//! Redirects that are followed for the client, and those that are not.

use super::URL;
use super::origin::Script;
use super::world::{Got, World, read};
use crate::engine::FetchRequest;
use weir_policies::outcome::Outcome;

fn to(location: &str) -> Script {
    Script::body("moved")
        .status(302)
        .header("cache-control", "max-age=100")
        .header("location", location)
}

fn follows(request: &mut FetchRequest) {
    request.plan.follows = true;
}

fn follows_immutable(request: &mut FetchRequest) {
    request.plan.follows = true;
    request.plan.adjust.immutable = true;
    request.plan.adjust.ttl_min = Some(1_000_000);
}

fn whole(body: &str) -> Got {
    Got::Whole(body.as_bytes().to_vec())
}

#[tokio::test]
async fn what_is_behind_a_redirect_is_stored_for_those_who_follow_only() {
    let world = World::new().await;
    world.script(URL, to("http://cdn.test/x"));
    world.script("http://cdn.test/x", Script::body("text"));
    assert_eq!(
        world.get_as(URL, follows).await,
        (whole("text"), Some(Outcome::Miss))
    );
    world.settle().await;
    assert_eq!(
        world.get_as(URL, follows).await,
        (whole("text"), Some(Outcome::Hit))
    );
    // A forward proxy's client gets the redirect itself.
    let answer = world.fetch(URL, &[]).await;
    assert_eq!(read(answer).await, whole("moved"));
    world.settle().await;
    assert_eq!(
        world.get_as(URL, follows).await,
        (whole("text"), Some(Outcome::Hit))
    );
    let crate::engine::Answer::Stored { object, .. } = world.fetch_as(URL, follows).await else {
        panic!("not stored")
    };
    assert_eq!(object.head().redirects, ["http://cdn.test/x"]);
}

#[tokio::test]
async fn a_response_without_a_redirect_is_shared_by_all_forms() {
    let world = World::new().await;
    world.script(URL, Script::body("text"));
    world.get_as(URL, follows).await;
    world.settle().await;
    assert_eq!(world.get(URL).await.1, Some(Outcome::Hit));
    assert_eq!(world.origin.asked(URL).gets, 1);
}

#[tokio::test]
async fn a_signed_url_that_changes_each_time_is_a_hit_the_second_time() {
    let world = World::new().await;
    let signed = |number| format!("http://codeload.test/x?signature={number}");
    for number in 0..3 {
        let mut redirect = to(&signed(number));
        redirect
            .headers
            .retain(|(name, _)| *name != "cache-control");
        world.script(URL, redirect);
        world.script(&signed(number), Script::body("text"));
        let expected = if number == 0 {
            Outcome::Miss
        } else {
            Outcome::Hit
        };
        let got = world.get_as(URL, follows_immutable).await;
        assert_eq!(got, (whole("text"), Some(expected)));
        world.settle().await;
    }
    assert_eq!(world.origin.asked(URL).gets, 1);
}

#[tokio::test]
async fn a_redirect_without_freshness_leaves_none_to_what_is_behind_it() {
    let world = World::new().await;
    let mut redirect = to("http://cdn.test/x");
    redirect
        .headers
        .retain(|(name, _)| *name != "cache-control");
    world.script(URL, redirect);
    world.script(
        "http://cdn.test/x",
        Script::body("text").header("etag", "\"1\""),
    );
    world.get_as(URL, follows).await;
    world.settle().await;
    assert_eq!(
        world.get_as(URL, follows).await,
        (whole("text"), Some(Outcome::Revalidated))
    );
}

#[tokio::test]
async fn the_shortest_lifetime_of_the_chain_counts() {
    let world = World::new().await;
    world.script(
        URL,
        to("http://cdn.test/x").header("cache-control", "max-age=10"),
    );
    world.script("http://cdn.test/x", Script::body("text"));
    world.get_as(URL, follows).await;
    world.settle().await;
    world.later(9);
    assert_eq!(world.get_as(URL, follows).await.1, Some(Outcome::Hit));
    world.later(2);
    assert_ne!(world.get_as(URL, follows).await.1, Some(Outcome::Hit));
}

#[tokio::test]
async fn a_hop_that_must_not_be_stored_keeps_the_rest_out_of_the_store() {
    let world = World::new().await;
    world.script(
        URL,
        to("http://cdn.test/x").header("cache-control", "no-store"),
    );
    world.script("http://cdn.test/x", Script::body("text"));
    for _ in 0..2 {
        let (got, outcome) = world.get_as(URL, follows).await;
        assert_eq!(got, whole("text"));
        assert!(matches!(outcome, Some(Outcome::Uncached(_))), "{outcome:?}");
        world.settle().await;
    }
}

#[tokio::test]
async fn row_134_a_circle_of_redirects_ends() {
    let world = World::new().await;
    world.script(URL, to(URL));
    let (got, _) = world.get_as(URL, follows).await;
    assert!(
        matches!(&got, Got::Failed(error) if error.status() == 502),
        "{got:?}"
    );
    assert_eq!(
        world.origin.asked(URL).gets,
        6,
        "the first and five redirects"
    );
}

#[tokio::test]
async fn a_redirect_that_must_not_be_followed_is_an_error_that_says_so() {
    for location in [
        "ftp://h.test/x",
        "http://169.254.169.254/x",
        "http://metadata.google.internal/",
    ] {
        let world = World::new().await;
        world.script(URL, to(location));
        let (got, _) = world.get_as(URL, follows).await;
        assert!(
            matches!(&got, Got::Failed(error) if error.as_str() == "redirect" || error.as_str() == "no-answer"),
            "{location}: {got:?}"
        );
    }
    let world = World::new().await;
    let secure = URL.replace("http:", "https:");
    world.script(&secure, to(URL));
    world.script(URL, Script::body("plain"));
    let (got, _) = world.get_as(&secure, follows).await;
    assert!(matches!(&got, Got::Failed(_)), "{got:?}");
}

#[tokio::test]
async fn credentials_stay_with_the_origin_they_were_meant_for() {
    let world = World::new().await;
    world.script(URL, to("http://cdn.test/x"));
    world.script("http://cdn.test/x", Script::body("text"));
    let mut request = super::world::request(
        http::Method::GET,
        URL,
        &[("authorization", "Basic eDp5"), ("cookie", "a=b")],
    );
    request.plan.follows = true;
    read(world.engine.fetch(&request).await).await;
    assert!(world.origin.fields(URL).contains_key("authorization"));
    let behind = world.origin.fields("http://cdn.test/x");
    assert!(!behind.contains_key("authorization") && !behind.contains_key("cookie"));
}
