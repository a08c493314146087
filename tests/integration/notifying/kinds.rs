//! What is told of: each kind of trouble by its name, and what it is about.

use super::{assert_says, body, hook, mailing_to, post, posting_to};
use crate::damage::{flip_a_bit, object_file};
use crate::stage::{FRESH, Stage};
use futures::future::join_all;
use weir_tests::deadline::until;
use weir_tests::disk::{Mounted, NEEDS_ROOT};
use weir_tests::refusing::Refusing;
use weir_tests::skip::skip;
use weir_tests::{Content, MailSink, Script};

#[tokio::test]
async fn a_dead_upstream_is_one_message_however_many_requests_fail() {
    let (hook, sink) = (hook().await, MailSink::start().await);
    let gateway = mailing_to(&sink, posting_to(&hook)).start().await;
    let (one, other) = (Refusing::start(), Refusing::start());
    let urls: Vec<String> = (0..20)
        .map(|number| format!("{}/{number}?key=1", one.url()))
        .collect();
    for response in join_all(urls.iter().map(|url| gateway.get(url))).await {
        assert!(response.status() >= 502, "{:?}", response.head);
    }
    let told = post(&hook, 1).await;
    let authority = one.address().to_string();
    assert_says(
        &told,
        &[
            "\"kind\":\"upstream-failed\"",
            "\"node\":\"weir-test\"",
            "\"count\":1,",
            &authority,
        ],
    );
    assert!(
        !told.contains("key=1"),
        "a query may be a signature: {told}"
    );
    let subject = format!("Subject: [weir weir-test] upstream-failed: {authority}");
    assert_says(&sink.mail(1).await, &[&subject, "operator@example.org"]);

    gateway.get(&format!("{}/", other.url())).await;
    assert_says(&post(&hook, 2).await, &[&other.address().to_string()]);
    assert_says(&sink.mail(2).await, &[&other.address().to_string()]);
    gateway.finish().await;
    // What was counted is told at the end, and nothing else.
    let told: Vec<String> = hook.record().requests.iter().map(body).collect();
    assert_eq!(told.len(), 3, "{told:#?}");
    assert_says(
        &told[2],
        &[
            "\"count\":19,",
            "and 19 more since",
            &authority,
            "\"examples\":[",
        ],
    );
    assert_eq!(sink.mails().len(), 3);
}

#[tokio::test]
async fn what_a_client_has_brought_about_is_not_told() {
    let hook = hook().await;
    let stage = Stage::with(posting_to(&hook)).await;
    stage
        .origin
        .on("/gone", Script::status("404 Not Found", "", b"no"));
    stage.origin.on(
        "/broken",
        Script::status("500 Internal Server Error", "", b"no"),
    );
    stage.get("/gone").await;
    stage
        .get_with("/broken", "Authorization: Basic YTpi\r\n")
        .await;
    stage.gateway.get("http://169.254.169.254/").await;
    stage.gateway.get("http://no-such-host.invalid/").await;
    stage.finish().await;
    hook.assert_untouched();
}

#[tokio::test]
async fn an_upstream_that_answers_5xx_is_told_of_after_the_last_source() {
    let hook = hook().await;
    let stage = Stage::with(posting_to(&hook)).await;
    stage
        .origin
        .on("/x", Script::status("503 Service Unavailable", "", b"no"));
    stage.get("/x").await;
    let authority = stage.origin.authority();
    assert_says(&post(&hook, 1).await, &[&authority, "503"]);
    stage.finish().await;
}

#[tokio::test]
async fn damaged_bytes_are_named() {
    let hook = hook().await;
    let stage = Stage::with(posting_to(&hook).set("store.verify", "always")).await;
    let content = Content::new(1, 2_000_000);
    stage.origin.on("/x", Script::ok(FRESH, &content.bytes()));
    stage.get("/x").await.assert_is(200, &content.bytes());
    stage.assert_hit("/x", &content.bytes()).await;
    let file = object_file(stage.gateway.home().data());
    flip_a_bit(&file);
    stage.get("/x").await;
    let name = file
        .file_name()
        .and_then(|name| name.to_str())
        .expect("a name");
    let told = post(&hook, 1).await;
    assert_says(
        &told,
        &["\"kind\":\"corrupt\"", name, &stage.origin.url("/x")],
    );
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn other_bytes_behind_an_immutable_url_are_told_of() {
    const PATH: &str = "/pub/app-1.0.tar.gz";
    let hook = hook().await;
    let stage = Stage::with(posting_to(&hook)).await;
    let old = "Cache-Control: max-age=600\r\nAge: 9000000\r\nETag: \"v1\"\r\n";
    let changed = Script::ok(&format!("{FRESH}ETag: \"v2\"\r\n"), b"the changed one");
    stage
        .origin
        .on_each(PATH, [Script::ok(old, b"the original"), changed]);
    stage.get(PATH).await.assert_is(200, b"the original");
    stage.gateway.settled().await;
    stage.get(PATH).await.assert_is(200, b"the original");
    let told = post(&hook, 1).await;
    assert_says(&told, &["\"kind\":\"conflict\"", &stage.origin.url(PATH)]);
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn a_full_disk_is_told_of_once_and_an_object_too_large_is_not() {
    let Some(disk) = Mounted::in_memory(64) else {
        return skip(NEEDS_ROOT);
    };
    let hook = hook().await;
    let builder = posting_to(&hook)
        .set("store.reserve", "1MiB")
        .set("store.capacity", "32MiB");
    let stage = Stage::with(builder.data(&disk.path().join("data"))).await;
    let large = Content::new(1, 40 * 1024 * 1024);
    stage.origin.on("/large", Script::ok(FRESH, &large.bytes()));
    stage.get("/large").await.assert_is(200, &large.bytes());
    stage.gateway.settled().await;
    disk.fill();
    for number in 0..4 {
        let content = Content::new(number, 3_000_000);
        let path = format!("/{number}");
        stage.origin.on(&path, Script::ok(FRESH, &content.bytes()));
        stage.get(&path).await.assert_is(200, &content.bytes());
    }
    let told = post(&hook, 1).await;
    until("all are refused", async || {
        let refused = "weir_bound_hits_total{bound=\"store-full\"}";
        stage.gateway.metric(refused).await >= 4.0
    })
    .await;
    assert_says(
        &told,
        &[
            "\"kind\":\"disk-full\"",
            &disk.path().display().to_string(),
            "\"count\":1,",
        ],
    );
    assert_eq!(hook.requests(), 1, "told once");
    let Stage { mut gateway, .. } = stage;
    gateway.expect_log(" ERROR ");
    gateway.finish_with_warnings().await;
}
