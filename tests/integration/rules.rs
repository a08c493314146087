//! `[[rule]]` from outside, a key each: what the operator writes is what happens.

use crate::stage::{FRESH, Stage, ruled};
use weir_tests::{Gateway, Response, Script};

/// A gateway with one rule and an origin whose `/x` answers with `fields`; the responses to two GETs of it.
async fn twice(rule: &str, fields: &str) -> (Stage, Response, Response) {
    let stage = Stage::with(ruled(rule)).await;
    stage.origin.on("/x", Script::ok(fields, b"text"));
    let first = stage.get("/x").await;
    first.assert_is(200, b"text");
    stage.gateway.settled().await;
    let second = stage.get("/x").await;
    second.assert_is(200, b"text");
    (stage, first, second)
}

async fn check(rule: &str, fields: &str, is_hit: bool) {
    let (stage, _, second) = twice(rule, fields).await;
    assert_eq!(
        second.is_hit(),
        is_hit,
        "{rule} {fields}: {:?}",
        second.head
    );
    stage.finish().await;
}

#[tokio::test]
async fn ttl_default_speaks_where_the_origin_is_silent() {
    check("ttl_default = \"1h\"", "", true).await;
    check(
        "ttl_default = \"1h\"",
        "Cache-Control: max-age=0\r\n",
        false,
    )
    .await;
    check("ttl_default = \"1h\"\nscheme = [\"https\"]", "", false).await;
    check("ttl_default = \"1h\"\nextension = [\"iso\"]", "", false).await;
}

#[tokio::test]
async fn ttl_min_and_ttl_max_bound_what_the_origin_says() {
    check("ttl_min = \"1h\"", "Cache-Control: max-age=0\r\n", true).await;
    check("ttl_min = \"1h\"", "Cache-Control: no-store\r\n", false).await;
    check(
        "ttl_min = \"1h\"",
        "Cache-Control: private, max-age=0\r\n",
        false,
    )
    .await;
    check("ttl_max = \"0s\"", FRESH, false).await;
}

#[tokio::test]
async fn an_override_sets_aside_what_it_names_and_nothing_else() {
    let always =
        |what: &str| format!("store = \"always\"\noverride = [\"{what}\"]\nttl_min = \"1h\"");
    check(&always("no-store"), "Cache-Control: no-store\r\n", true).await;
    check(&always("no-store"), "Cache-Control: private\r\n", false).await;
    check(
        &always("private"),
        "Cache-Control: private, max-age=60\r\n",
        true,
    )
    .await;
    check("store = \"never\"", FRESH, false).await;
}

#[tokio::test]
async fn conditions_on_the_response_are_judged_when_it_is_here() {
    let media = "store = \"never\"\nmedia_type = [\"video/*\"]";
    let video = "Content-Type: video/mp4\r\nCache-Control: max-age=600\r\n";
    check(media, video, false).await;
    check(media, FRESH, true).await;
    check("store = \"never\"\nsize_min = \"4B\"", FRESH, false).await;
    check("store = \"never\"\nsize_min = \"5B\"", FRESH, true).await;
    check("store = \"never\"\nsize_max = \"4B\"", FRESH, false).await;
}

#[tokio::test]
async fn negative_ttl_answers_for_a_404_and_who_insists_asks() {
    let builder = ruled("negative_ttl = \"1h\"").set("fill.hold_down", "0s");
    let stage = Stage::with(builder).await;
    stage.origin.on_each(
        "/x",
        [
            Script::status("404 Not Found", "", b"no"),
            Script::ok(FRESH, b"text"),
        ],
    );
    stage.get("/x").await.assert_is(404, b"no");
    stage.get("/x").await.assert_is(404, b"no");
    assert_eq!(stage.origin.requests(), 1);
    let insisting = stage.get_with("/x", "Cache-Control: no-cache\r\n").await;
    insisting.assert_is(200, b"text");
    stage.finish().await;
}

#[tokio::test]
async fn stale_for_lets_a_stale_response_stand_in() {
    for (span, status) in [("1h", 200), ("0s", 503)] {
        let rule = format!("stale_for = \"{span}\"\nttl_max = \"0s\"");
        let stage = Stage::with(ruled(&rule).set("fill.hold_down", "0s")).await;
        let tagged = "Cache-Control: max-age=600\r\nETag: \"1\"\r\n";
        stage.origin.on_each(
            "/x",
            [
                Script::ok(tagged, b"text"),
                Script::status("503 Service Unavailable", "", b"sorry"),
            ],
        );
        stage.get("/x").await.assert_is(200, b"text");
        stage.gateway.settled().await;
        assert_eq!(stage.get("/x").await.status(), status, "{span}");
        stage.finish().await;
    }
}

#[tokio::test]
async fn follow_redirects_follows_for_a_forward_proxy_as_well() {
    for (follows, status) in [("true", 200), ("false", 302)] {
        let stage = Stage::with(ruled(&format!("follow_redirects = {follows}"))).await;
        let away = format!("Location: {}\r\n", stage.origin.url("/y"));
        stage
            .origin
            .on("/x", Script::status("302 Found", &away, b""));
        stage.origin.on("/y", Script::ok(FRESH, b"text"));
        assert_eq!(stage.get("/x").await.status(), status);
        stage.finish().await;
    }
}

#[tokio::test]
async fn headers_reach_the_upstream_and_the_response_is_shared() {
    let rule = "headers = { Authorization = \"Bearer operator\", User-Agent = \"\" }";
    let (stage, _, second) = twice(rule, FRESH).await;
    assert!(second.is_hit(), "{:?}", second.head);
    let record = stage.origin.record();
    assert_eq!(
        record.requests[0].values("authorization"),
        ["Bearer operator"]
    );
    assert!(record.requests[0].values("user-agent").is_empty());
    stage.finish().await;
}

#[tokio::test]
async fn limit_refuses_what_is_larger_whichever_way_it_is_asked() {
    let stage = Stage::with(ruled("limit = \"3B\"").set("fill.hold_down", "0s")).await;
    stage.origin.on("/x", Script::ok(FRESH, b"text"));
    for fields in [
        "",
        "Authorization: Basic YTpi\r\n",
        "Cache-Control: no-store\r\n",
    ] {
        assert_eq!(stage.get_with("/x", fields).await.status(), 403, "{fields}");
    }
    stage.finish().await;
}

#[tokio::test]
async fn immutable_and_versioned_make_an_archive_of_any_name() {
    let rule = "immutable = true\nversioned = true\nttl_min = \"1h\"";
    for (path, is_hit) in [("/tool-1.2.bin", true), ("/tool.bin", false)] {
        let stage = Stage::with(ruled(rule)).await;
        stage.origin.on(path, Script::ok("", b"text"));
        stage.get(path).await.assert_is(200, b"text");
        stage.gateway.settled().await;
        let insisting = stage.get_with(path, "Cache-Control: no-cache\r\n").await;
        assert_eq!(insisting.is_hit(), is_hit, "{path}: {:?}", insisting.head);
        stage.finish().await;
    }
}

#[tokio::test]
async fn a_mirror_that_acts_for_its_origin_obeys_cdn_cache_control() {
    for (cdn, is_hit) in [(true, true), (false, false)] {
        let origin = weir_tests::Origin::start().await;
        let fields = "Cache-Control: no-store\r\nCDN-Cache-Control: max-age=600\r\n";
        origin.on("/x", Script::ok(fields, b"text"));
        let builder = Gateway::builder().mirror("/m/", &[origin.url("/").as_str()]);
        let gateway = builder
            .config(|config| {
                let mirrors = config["mirror"].as_array_mut().expect("a list");
                let mirror = mirrors[0].as_table_mut().expect("a table");
                mirror.insert("cdn".to_owned(), cdn.into());
            })
            .start()
            .await;
        gateway.get_path("/m/x").await.assert_is(200, b"text");
        gateway.settled().await;
        assert_eq!(
            gateway.get_path("/m/x").await.is_hit(),
            is_hit,
            "cdn = {cdn}"
        );
        gateway.finish().await;
    }
}
