//! Rows 134 and 137: an object that is another one when its origin is asked again, and redirects without an end.

use super::{continued_at, cut_at, rest_of};
use crate::stage::{FRESH, Stage};
use weir_tests::{Content, Origin, Script};

const FIRST: &str = "Cache-Control: max-age=600\r\nETag: \"v1\"\r\n";
const SECOND: &str = "Cache-Control: max-age=600\r\nETag: \"v2\"\r\n";

/// Checks that after a break and this answer nobody has mixed bytes, and that the new object is the one that is stored.
async fn check_changed(resumed: impl Fn(&Content) -> Script) {
    let stage = Stage::new().await;
    let (old, new) = (Content::new(1, 400_000), Content::new(2, 400_000));
    stage.origin.on_each(
        "/x",
        [
            cut_at(&old, FIRST, 200_000),
            resumed(&new),
            Script::ok(SECOND, &new.bytes()),
        ],
    );
    let cut = stage.get("/x").await;
    assert!(!cut.ending.is_clean(), "{} bytes", cut.body.len());
    assert!(old.holds_at(0, &cut.body), "bytes of two objects");
    let asked = &stage.origin.record().requests[1];
    assert_eq!(asked.values("if-range"), ["\"v1\""]);
    stage.gateway.settled().await;
    stage.get("/x").await.assert_is(200, &new.bytes());
    stage.assert_hit("/x", &new.bytes()).await;
    assert!(stage.gateway.temporary_files().is_empty());
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_137_a_whole_answer_to_if_range_is_a_new_object() {
    check_changed(|new| Script::ok(SECOND, &new.bytes())).await;
}

#[tokio::test]
async fn row_137_a_part_of_another_version_is_not_appended() {
    check_changed(|new| {
        let length = new.length();
        let fields = format!(
            "{SECOND}Content-Range: bytes 200000-{}/{length}\r\n",
            length - 1
        );
        Script::status("206 Partial Content", &fields, &new.slice(200_000, length))
    })
    .await;
}

#[tokio::test]
async fn row_137_a_part_of_another_length_is_not_appended() {
    let stage = Stage::new().await;
    let (old, new) = (Content::new(1, 400_000), Content::new(1, 500_000));
    let longer = new.clone();
    let cut = old.clone();
    stage.origin.on_request("/x", move |seen| {
        if continued_at(seen).is_none() {
            return cut_at(&cut, FIRST, 200_000);
        }
        rest_of(seen, &longer, FIRST)
    });
    let response = stage.get("/x").await;
    assert!(!response.ending.is_clean());
    assert!(response.body.len() <= old.length());
    stage.gateway.settled().await;
    stage.origin.on("/x", Script::ok(FIRST, &new.bytes()));
    let whole = stage.assert_fetched("/x").await;
    whole.assert_is(200, &new.bytes());
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_134_redirects_in_a_circle_end() {
    let stage = Stage::new().await;
    let to = |path: &str| {
        let fields = format!("Location: {path}\r\n{FRESH}");
        Script::status("302 Found", &fields, b"")
    };
    stage.origin.on("/self", to("/self"));
    stage.origin.on("/one", to("/two"));
    stage.origin.on("/two", to("/one"));
    for path in ["/self", "/one"] {
        let before = stage.origin.requests();
        let asked = format!("/download/{}", stage.origin.url(path));
        let response = stage.gateway.get_path(&asked).await;
        assert_eq!(response.status(), 502, "{}", response.text());
        assert!(response.text().contains("redirect"), "{}", response.text());
        let hops = stage.origin.requests() - before;
        assert!((1..=6).contains(&hops), "{path}: {hops} requests");
    }
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_134_as_many_redirects_as_allowed_are_followed_and_not_one_more() {
    let stage = Stage::new().await;
    let other = Origin::start().await;
    for hop in 0..6 {
        let next = match hop % 2 {
            0 => other.url(&format!("/{}", hop + 1)),
            _ => stage.origin.url(&format!("/{}", hop + 1)),
        };
        let script = Script::status("302 Found", &format!("Location: {next}\r\n"), b"");
        for origin in [&stage.origin, &other] {
            origin.on(&format!("/{hop}"), script.clone());
            origin.on("/6", Script::ok(FRESH, b"the end"));
        }
    }
    // From /1, five lead to the end; from /0, six would.
    for (path, status) in [("/1", 200), ("/0", 502)] {
        let asked = format!("/download/{}", stage.origin.url(path));
        let response = stage.gateway.get_path(&asked).await;
        assert_eq!(response.status(), status, "{path}: {}", response.text());
    }
    stage.gateway.finish_with_warnings().await;
}
