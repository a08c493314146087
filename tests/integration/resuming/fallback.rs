//! `[[rule]] fallback`: an archive that is asked when the upstream has it no more, or fails.

use crate::stage::{FRESH, Stage, ruled};
use weir_tests::content::sha256;
use weir_tests::refusing::Refusing;
use weir_tests::{Gateway, Origin, Script};

/// A gateway with these bases, below the archive where they begin with a slash.
async fn stage(archive: &Origin, bases: &[&str]) -> Stage {
    let bases: Vec<String> = bases
        .iter()
        .map(|base| match base.strip_prefix('/') {
            Some(_) => format!("\"{}\"", archive.url(base)),
            None => format!("\"{base}\""),
        })
        .collect();
    let rule = format!("fallback = [{}]", bases.join(", "));
    Stage::with(ruled(&rule)).await
}

#[tokio::test]
async fn cp_23_what_the_upstream_lost_comes_from_the_archive_and_is_stored_under_its_own_url() {
    for lost in [
        Script::status("404 Not Found", "", b"none"),
        Script::status("410 Gone", "", b"none"),
        Script::status("500 Internal Server Error", "", b"no"),
        Script::of("nonsense\r\n\r\n").close(),
    ] {
        let archive = Origin::start().await;
        let stage = stage(&archive, &["/archive/"]).await;
        stage.origin.on("/a/x.bin?v=1", lost);
        archive.on("/archive/a/x.bin?v=1", Script::ok(FRESH, b"archived"));
        let response = stage.get("/a/x.bin?v=1").await;
        response.assert_is(200, b"archived");
        stage.assert_hit("/a/x.bin?v=1", b"archived").await;
        assert_eq!(archive.requests(), 1);
        stage.gateway.finish_with_warnings().await;
    }
}

#[tokio::test]
async fn an_answer_of_the_upstream_needs_no_archive() {
    let archive = Origin::start().await;
    let stage = stage(&archive, &["/archive/"]).await;
    for (status, number) in [
        ("200 OK", 200),
        ("403 Forbidden", 403),
        ("301 Moved Permanently", 301),
    ] {
        let path = format!("/{number}");
        let fields = "Location: /elsewhere\r\n";
        stage.origin.on(&path, Script::status(status, fields, b"x"));
        assert_eq!(stage.get(&path).await.status(), number);
    }
    archive.assert_untouched();
    stage.finish().await;
}

#[tokio::test]
async fn bases_are_asked_in_order_and_the_best_answer_counts() {
    let archive = Origin::start().await;
    let refusing = Refusing::start();
    let dead = format!("{}/", refusing.url());
    let stage = stage(&archive, &[&dead, "/first/", "/second/"]).await;
    let lost = Script::status("404 Not Found", "", b"lost");
    stage.origin.on("/x", lost.clone());
    stage.origin.on("/y", lost.clone());
    archive.on("/first/x", lost);
    archive.on("/second/x", Script::ok(FRESH, b"in the second"));
    stage.get("/x").await.assert_is(200, b"in the second");
    let record = archive.record();
    let targets: Vec<&str> = record.requests.iter().map(|seen| seen.target()).collect();
    assert_eq!(targets, ["/first/x", "/second/x"]);
    // Nobody has it: what the upstream said is better than that an archive is down.
    assert_eq!(stage.get("/y").await.status(), 404);
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn a_base_says_where_the_parts_of_the_url_go() {
    let archive = Origin::start().await;
    let layouts = ["/by/{scheme}/{host}/{path}", "/named/{sha256}/{file}"];
    let stage = stage(&archive, &layouts).await;
    let authority = stage.origin.authority();
    archive.on(
        &format!("/by/http/{authority}/a/x.bin"),
        Script::ok(FRESH, b"by its parts"),
    );
    stage.get("/a/x.bin").await.assert_is(200, b"by its parts");
    // The digest is that of the URL as it was asked, as the bucket of openEuler's cache-proxy has it.
    let asked = format!("http://{authority}/b//y.bin");
    let named = format!("/named/{}/y.bin", sha256(asked.as_bytes()));
    archive.on(&named, Script::ok(FRESH, b"by its digest"));
    let path = format!("/download/{asked}");
    let response = stage.gateway.get_path(&path).await;
    response.assert_is(200, b"by its digest");
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn the_digest_is_that_of_the_url_as_it_was_asked() {
    let archive = Origin::start().await;
    let stage = stage(&archive, &["/named/{sha256}/{file}"]).await;
    let asked = format!("http://{}/%7euser/y.bin", stage.origin.authority());
    let named = format!("/named/{}/y.bin", sha256(asked.as_bytes()));
    archive.on(&named, Script::ok(FRESH, b"by its digest"));
    let response = stage.gateway.get_path(&format!("/download/{asked}")).await;
    response.assert_is(200, b"by its digest");
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn credentials_do_not_go_to_the_archive() {
    let archive = Origin::start().await;
    let stage = stage(&archive, &["/archive/"]).await;
    let secret = "Authorization: Basic c2VjcmV0\r\nCookie: session=secret\r\n";
    archive.on("/archive/x", Script::ok(FRESH, b"archived"));
    let response = stage.get_with("/x", secret).await;
    assert!([200, 404].contains(&response.status()));
    for seen in archive.record().requests {
        for name in ["authorization", "cookie"] {
            assert_eq!(seen.values(name), [""; 0], "{name} went to the archive");
        }
    }
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn an_archive_on_this_machine_has_to_be_allowed_like_everything_else() {
    let archive = Origin::start().await;
    let origin = Origin::start().await;
    // Only one of both addresses may be fetched from.
    let base = archive.url("/archive/").replace("127.0.0.1", "127.0.0.2");
    let rule = format!("fallback = [\"{base}\"]");
    let builder = ruled(&rule).set("upstream.allow_networks", vec!["127.0.0.1/32"]);
    let gateway: Gateway = builder.start().await;
    origin.on("/x", Script::status("404 Not Found", "", b"lost"));
    assert_eq!(gateway.get(&origin.url("/x")).await.status(), 404);
    archive.assert_untouched();
    gateway.finish_with_warnings().await;
}
