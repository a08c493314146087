//! `weir stat`: what the gateway holds and does, for people and for programs.

use crate::stage::Stage;
use weir_tests::gateway::builder::binary;
use weir_tests::{Gateway, Program};

/// The number behind a key of the JSON that `weir stat --json` prints.
fn number(json: &str, key: &str) -> Option<f64> {
    let lines = json.lines().map(str::trim);
    let mut values = lines.filter_map(|line| line.strip_prefix(&format!("\"{key}\": ")));
    values.next()?.trim_end_matches(',').parse().ok()
}

#[tokio::test]
async fn what_it_holds_and_how_often_it_helped_is_counted() {
    let stage = Stage::new().await;
    stage.fresh("/file", &[b'x'; 1000]);
    stage.get("/file").await.assert_is(200, &[b'x'; 1000]);
    for _ in 0..3 {
        stage.assert_hit("/file", &[b'x'; 1000]).await;
    }
    let run = stage.gateway.weir(["stat", "--json"]).await;
    let json = run.assert_code(0).text();
    for (key, expected) in [
        ("store_objects", 1.0),
        ("fill_active", 0.0),
        ("fill_bytes_total", 1000.0),
        ("hits", 3.0),
        ("misses", 1.0),
        ("hit_ratio", 0.75),
        ("hit", 3.0),
        ("miss", 1.0),
        ("store", 3000.0),
        ("flight", 1000.0),
        ("pid", f64::from(stage.gateway.pid())),
    ] {
        assert_eq!(number(&json, key), Some(expected), "{key} in\n{json}");
    }
    let bytes = stage.gateway.metric("weir_store_objects").await;
    assert_eq!(number(&json, "store_objects"), Some(bytes));
    assert!(json.contains("\"problems\": []"), "{json}");
    stage.finish().await;
}

#[tokio::test]
async fn people_get_a_table() {
    let stage = Stage::new().await;
    stage.fresh("/file", &[b'x'; 3000]);
    stage.get("/file").await;
    stage.assert_hit("/file", &[b'x'; 3000]).await;
    let run = stage.gateway.weir(["stat"]).await;
    let text = run.assert_code(0).text();
    let pid = format!("process {}", stage.gateway.pid());
    for words in [
        pid.as_str(),
        "1 objects",
        "0 running, 2.9 KiB fetched",
        "1 from the store, 1 not (hit ratio 50.0 %)",
        "2.9 KiB from the store, 2.9 KiB not (hit ratio 50.0 %)",
    ] {
        assert!(text.contains(words), "{words:?} is not in\n{text}");
    }
    stage.finish().await;
}

#[tokio::test]
async fn before_the_first_request_there_is_no_ratio() {
    let gateway = Gateway::start().await;
    let run = gateway.weir(["stat", "--json"]).await;
    let json = run.assert_code(0).text();
    assert!(json.contains("\"hit_ratio\": null"), "{json}");
    let version = format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(json.contains(&version), "{json}");
    gateway.finish().await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_written_is_said_unless_nobody_listens() {
    let gateway = Gateway::start().await;
    let (weir, data) = (
        binary().display().to_string(),
        gateway.home().data().display().to_string(),
    );
    let said = async |script: String| {
        let run = Program::new("sh").args(["-c", &script]).run().await;
        run.stderr
    };
    let full = said(format!("'{weir}' stat --data '{data}' >/dev/full")).await;
    assert!(full.contains("cannot write"), "{full}");
    let closed = said(format!("'{weir}' stat --data '{data}' | true")).await;
    assert_eq!(closed, "");
    gateway.finish().await;
}
