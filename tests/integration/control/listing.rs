//! `weir ls`: everything that is stored, what fits a pattern, and readers that have seen enough.

use std::collections::BTreeSet;

use weir_tests::{Gateway, Origin, Program, Script};

use crate::stage::{FRESH, Stage};

/// The URLs that `weir ls` names, the last word of each line.
fn urls(text: &str) -> BTreeSet<String> {
    let last = |line: &str| line.rsplit(' ').next().map(str::to_owned);
    text.lines().filter_map(last).collect()
}

async fn filled(paths: &[&str]) -> Stage {
    let stage = Stage::new().await;
    for path in paths {
        stage.fresh(path, b"0123456789");
        stage.get(path).await.assert_is(200, b"0123456789");
    }
    stage.gateway.settled().await;
    stage
}

#[tokio::test]
async fn what_is_stored_is_listed_by_prefix_and_pattern() {
    let stage = filled(&["/a/1.deb", "/a/2.rpm", "/b/1.deb"]).await;
    let url = |path: &str| stage.origin.url(path);
    let check = async |pattern: &str, expected: &[&str]| {
        let run = stage.gateway.weir(["ls", pattern]).await;
        let expected = expected.iter().map(|path| url(path)).collect();
        assert_eq!(urls(&run.assert_code(0).text()), expected, "{pattern}");
    };
    check("", &["/a/1.deb", "/a/2.rpm", "/b/1.deb"]).await;
    check(&url("/a/"), &["/a/1.deb", "/a/2.rpm"]).await;
    check("*.deb", &["/a/1.deb", "/b/1.deb"]).await;
    check(&url("/a/*.deb"), &["/a/1.deb"]).await;
    let own = format!("/download/{}", url("/b/"));
    check(&own, &["/b/1.deb"]).await;
    check("http://elsewhere/", &[]).await;
    let run = stage.gateway.weir(["ls", "--limit", "2"]).await;
    assert_eq!(urls(&run.assert_code(0).text()).len(), 2);
    stage.finish().await;
}

#[tokio::test]
async fn programs_get_a_line_of_json_an_object() {
    let stage = Stage::new().await;
    let fields = format!("{FRESH}Surrogate-Key: one two\r\nContent-Type: text/plain\r\n");
    stage
        .origin
        .on("/gone", Script::status("404 Not Found", &fields, b"no"));
    stage.get("/gone").await;
    stage.gateway.settled().await;
    let run = stage.gateway.weir(["ls", "--json"]).await;
    let text = run.assert_code(0).text();
    assert_eq!(text.lines().count(), 1, "{text}");
    for words in [
        "\"kind\":\"plain\"",
        "\"status\":404",
        "\"length_bytes\":2",
        "\"tags\":[\"one\",\"two\"]",
        "\"content_type\":\"text/plain\"",
        "\"pinned\":false",
    ] {
        assert!(text.contains(words), "{words:?} is not in\n{text}");
    }
    let run = stage.gateway.weir(["ls", "--long"]).await;
    let text = run.assert_code(0).text();
    assert!(text.contains("404"), "{text}");
    assert!(text.contains("tags one,two"), "{text}");
    stage.finish().await;
}

#[tokio::test]
async fn a_thousand_objects_are_listed_once_each_and_a_reader_may_stop_early() {
    let origin = Origin::start().await;
    let gateway = Gateway::start().await;
    let mut client = gateway.connect().await;
    let mut stored = BTreeSet::new();
    for index in 0..1000 {
        let path = format!("/object/{index}");
        origin.on(&path, Script::ok(FRESH, path.as_bytes()));
        let url = origin.url(&path);
        let request = weir_tests::client::forward("GET", &url, "");
        client
            .exchange(&request)
            .await
            .assert_is(200, path.as_bytes());
        stored.insert(url);
    }
    gateway.settled().await;
    let run = gateway.weir(["ls"]).await;
    let text = run.assert_code(0).text();
    assert_eq!(text.lines().count(), 1000);
    assert_eq!(urls(&text), stored);
    let script = "\"$0\" ls --data \"$1\" | head -n 1; echo ${PIPESTATUS[0]}";
    let run = Program::new("bash")
        .args(["-c", script])
        .arg(weir_tests::gateway::builder::binary())
        .arg(gateway.home().data())
        .run()
        .await;
    let text = run.assert_code(0).text();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert_eq!(text.lines().last(), Some("0"), "{text}");
    assert!(run.stderr.is_empty(), "{}", run.stderr);
    gateway.finish().await;
}
