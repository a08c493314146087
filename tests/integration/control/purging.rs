//! Purges: by command and by `PURGE`, of a URL, a prefix and a tag; what is purged is never served again.

use rand::Rng;
use weir_tests::client::forward;
use weir_tests::seed::seeded;
use weir_tests::{Gate, Gateway, Origin, Response, Script};

use crate::stage::{FRESH, Stage};

const KILLS: usize = 6;
const OBJECTS: usize = 6;

async fn filled(paths: &[&str]) -> Stage {
    let stage = Stage::new().await;
    for path in paths {
        let fields = format!("{FRESH}ETag: \"v\"\r\nSurrogate-Key: all\r\n");
        stage.origin.on(path, Script::ok(&fields, b"body"));
        stage.get(path).await.assert_is(200, b"body");
    }
    stage.gateway.settled().await;
    stage
}

async fn purge(stage: &Stage, words: &[&str]) -> String {
    let words = ["purge"].iter().chain(words).copied();
    stage.gateway.weir(words).await.assert_code(0).text()
}

#[tokio::test]
async fn a_url_is_purged_and_nothing_beside_it() {
    let stage = filled(&["/a", "/a/b"]).await;
    let url = stage.origin.url("/a");
    let text = purge(&stage, &["--dry-run", &url]).await;
    assert!(text.contains("would purge 1 object"), "{text}");
    let text = purge(&stage, &["--dry-run", "--list", &url]).await;
    assert!(text.contains("would purge 1 object"), "{text}");
    assert_eq!(text.lines().count(), 2, "{text}");
    stage.assert_hit("/a", b"body").await;
    let own = format!("/download/{url}");
    let text = purge(&stage, &[&own]).await;
    assert!(text.contains("1 object, "), "{text}");
    assert!(text.contains("removed"), "{text}");
    stage.assert_hit("/a/b", b"body").await;
    stage.assert_fetched("/a").await;
    stage.gateway.settled().await;
    purge(&stage, &[&url]).await;
    let text = purge(&stage, &[&url]).await;
    assert!(text.contains("nothing was stored"), "{text}");
    stage.finish().await;
}

#[tokio::test]
async fn a_prefix_and_a_tag_are_purged() {
    let stage = filled(&["/dir/a", "/dir/b", "/other"]).await;
    let prefix = stage.origin.url("/dir/*");
    let text = purge(&stage, &["--dry-run", &prefix]).await;
    assert!(text.contains("would purge 2 objects"), "{text}");
    purge(&stage, &[&prefix]).await;
    stage.assert_hit("/other", b"body").await;
    stage.assert_fetched("/dir/a").await;
    stage.assert_fetched("/dir/b").await;
    stage.gateway.settled().await;
    purge(&stage, &["--tag", "none"]).await;
    stage.assert_hit("/dir/a", b"body").await;
    purge(&stage, &["--tag", "all"]).await;
    stage.assert_fetched("/dir/a").await;
    stage.assert_fetched("/other").await;
    stage.finish().await;
}

#[tokio::test]
async fn a_soft_purge_has_the_origin_asked() {
    let stage = filled(&["/a"]).await;
    let holds = "HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=600\r\nETag: \"v\"\r\n\r\n";
    stage.origin.on("/a", Script::of(holds));
    purge(&stage, &["--soft", &stage.origin.url("/a")]).await;
    stage.get("/a").await.assert_is(200, b"body");
    assert_eq!(stage.origin.requests(), 2);
    stage.assert_hit("/a", b"body").await;
    stage.finish().await;
}

#[tokio::test]
async fn what_cannot_be_purged_is_an_error_and_the_others_are_purged() {
    let stage = filled(&["/a"]).await;
    let url = stage.origin.url("/a");
    let run = stage.gateway.weir(["purge", "nonsense", &url]).await;
    run.assert_code(1);
    assert!(run.stderr.starts_with("weir: nonsense"), "{}", run.stderr);
    stage.assert_fetched("/a").await;
    stage.gateway.weir(["purge", "*"]).await.assert_code(1);
    stage.gateway.weir(["purge"]).await.assert_code(2);
    stage.finish().await;
}

#[tokio::test]
async fn a_running_download_ends_well_and_is_not_stored() {
    let stage = Stage::new().await;
    let gate = Gate::new();
    let old = Script::ok_in_halves(FRESH, b"0123456789", 5, &gate);
    let new = Script::ok(FRESH, b"new");
    stage.origin.on_each("/a", [old, new]);
    let url = stage.origin.url("/a");
    let mut client = stage.gateway.connect().await;
    client.send(forward("GET", &url, "")).await;
    let head = client.head().await;
    let text = purge(&stage, &[&url]).await;
    assert!(text.contains("1 running fetch"), "{text}");
    stage.get("/a").await.assert_is(200, b"new");
    gate.open();
    let mut received = Vec::new();
    let sink = |bytes: &[u8]| received.extend_from_slice(bytes);
    assert!(client.body(&head, "GET", sink).await.is_clean());
    assert_eq!(received, b"0123456789");
    stage.assert_hit("/a", b"new").await;
    stage.finish().await;
}

#[tokio::test]
async fn a_purge_holds_over_kill_9() {
    let (mut random, seed) = seeded("purge");
    let origin = Origin::start().await;
    let home = Gateway::builder().home();
    for kill in 0..KILLS {
        let gateway = home.start().await;
        for index in 0..OBJECTS {
            let path = format!("/{kill}/{index}");
            origin.on(&path, Script::ok(FRESH, b"old"));
            gateway.get(&origin.url(&path)).await.assert_is(200, b"old");
        }
        gateway.settled().await;
        let purged = random.random_range(0..OBJECTS);
        let is_whole = random.random_bool(0.3);
        let what = if is_whole {
            origin.url(&format!("/{kill}/*"))
        } else {
            origin.url(&format!("/{kill}/{purged}"))
        };
        gateway.weir(["purge", &what]).await.assert_code(0);
        gateway.kill().await;
        let gateway = home.start().await;
        for index in 0..OBJECTS {
            let path = format!("/{kill}/{index}");
            origin.on(&path, Script::ok(FRESH, b"new"));
            let is_purged = is_whole || index == purged;
            let expected: &[u8] = if is_purged { b"new" } else { b"old" };
            let response = gateway.get(&origin.url(&path)).await;
            let context = format!("seed {seed}, kill {kill}, {what}, object {index}");
            assert_eq!(
                response.text(),
                String::from_utf8_lossy(expected),
                "{context}"
            );
        }
        gateway.kill().await;
    }
}

/// PURGE of `path` of the origin in a form.
async fn ask(stage: &Stage, form: &str, path: &str, fields: &str) -> Response {
    let url = stage.origin.url(path);
    let own = |target: String| format!("PURGE {target} HTTP/1.1\r\nHost: weir\r\n{fields}\r\n");
    let request = match form {
        "forward" => forward("PURGE", &url, fields),
        "download" => own(format!("/download/{url}")),
        "path" => own(format!("/http/{}{path}", stage.origin.authority())),
        _ => own(format!("/m{path}")),
    };
    stage.gateway.connect().await.exchange(&request).await
}

async fn allowed(networks: &[&str]) -> Stage {
    let origin = Origin::start().await;
    let builder = Gateway::builder().mirror("/m/", &[&origin.url("/")]);
    let builder = builder.set("access.purge", networks.to_vec());
    Stage {
        gateway: builder.start().await,
        origin,
    }
}

#[tokio::test]
async fn a_client_that_may_purges_in_every_form_and_nothing_is_forwarded() {
    let stage = allowed(&["127.0.0.0/8"]).await;
    stage.fresh("/x", b"x");
    stage.fresh("/beside", b"beside");
    stage.get("/beside").await;
    for form in ["forward", "download", "path", "mirror"] {
        stage.assert_fetched("/x").await;
        stage.gateway.settled().await;
        let before = stage.origin.requests();
        let done = ask(&stage, form, "/x", "").await;
        assert_eq!(done.status(), 200, "{form}: {}", done.text());
        assert!(done.text().contains("\"objects\":1"), "{}", done.text());
        assert_eq!(ask(&stage, form, "/x", "").await.status(), 404, "{form}");
        assert_eq!(stage.origin.requests(), before, "{form} was forwarded");
    }
    stage.assert_hit("/beside", b"beside").await;
    let lines = stage.gateway.home().access_log();
    assert!(lines.iter().any(|line| line.contains("PURGE")), "{lines:?}");
    stage.finish().await;
}

#[tokio::test]
async fn a_soft_purge_by_http_keeps_the_bytes() {
    let stage = allowed(&["127.0.0.1/32"]).await;
    let holds = "HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=600\r\nETag: \"v\"\r\n\r\n";
    let fields = format!("{FRESH}ETag: \"v\"\r\n");
    let scripts = [Script::ok(&fields, b"x"), Script::of(holds)];
    stage.origin.on_each("/x", scripts);
    stage.get("/x").await.assert_is(200, b"x");
    stage.gateway.settled().await;
    let wrong = ask(&stage, "forward", "/x", "Soft-Purge: yes\r\n").await;
    assert_eq!(wrong.status(), 400);
    stage.assert_hit("/x", b"x").await;
    let done = ask(&stage, "forward", "/x", "Soft-Purge: 1\r\n").await;
    assert_eq!(done.status(), 200, "{}", done.text());
    stage.get("/x").await.assert_is(200, b"x");
    assert_eq!(stage.origin.requests(), 2);
    stage.finish().await;
}

#[tokio::test]
async fn who_may_purge_is_taken_over_by_a_reload() {
    let stage = allowed(&["10.0.0.0/8"]).await;
    stage.fresh("/x", b"x");
    stage.get("/x").await;
    stage.gateway.settled().await;
    for form in ["forward", "download", "path", "mirror"] {
        assert_eq!(ask(&stage, form, "/x", "").await.status(), 403, "{form}");
    }
    stage.assert_hit("/x", b"x").await;
    stage
        .gateway
        .home()
        .set("access.purge", vec!["127.0.0.1/32"]);
    stage.gateway.reload().await;
    assert_eq!(ask(&stage, "forward", "/x", "").await.status(), 200);
    stage.finish().await;
}
