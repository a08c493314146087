//! Rows 76–78 and 81: what may not be shared is not stored, whoever made the origin say it.

use crate::stage::{FRESH, Stage};
use weir_tests::client::forward;
use weir_tests::{Content, Gate, Script};

#[tokio::test]
async fn row_76_errors_are_stored_only_when_they_say_that_they_are_fresh() {
    let stage = Stage::new().await;
    let statuses = [
        "400 Bad Request",
        "405 Method Not Allowed",
        "413 Content Too Large",
        "414 URI Too Long",
        "431 Request Header Fields Too Large",
        "500 Internal Server Error",
        "501 Not Implemented",
        "502 Bad Gateway",
        "503 Service Unavailable",
        "504 Gateway Timeout",
    ];
    // Nothing that may be guessed from makes an error fresh: neither its age nor its name.
    let silent = [
        "",
        "Last-Modified: Mon, 01 Jan 2001 00:00:00 GMT\r\n",
        "ETag: \"error\"\r\n",
    ];
    for status in statuses {
        for (index, fields) in silent.into_iter().enumerate() {
            let path = format!("/{}/{index}/app-1.0.tar.gz", &status[..3]);
            let provoked = Script::status(status, fields, b"provoked");
            stage
                .origin
                .on_each(&path, [provoked, Script::ok(FRESH, b"file")]);
            let odd = "X-Odd: \u{7f}\r\n".replace('\u{7f}', &"a".repeat(4000));
            let number: u16 = status[..3].parse().expect("a status");
            let first = stage.get_with(&path, &odd).await;
            assert_eq!(first.status(), number, "{status}, {fields:?}");
            stage.gateway.settled().await;
            let next = stage.get(&path).await;
            assert_eq!(next.status(), 200, "{status} is stored, {fields:?}");
        }
    }
    stage.gateway.finish_with_warnings().await;
}

/// Checks that what was sent in answer to `request` is or is not sent to somebody else.
async fn check_shared(request: &str, response: &str, path: &str, may_be_shared: bool) {
    let stage = Stage::new().await;
    stage.origin.on_each(
        path,
        [Script::ok(response, b"hers"), Script::ok(response, b"his")],
    );
    let hers = stage.get_with(path, request).await;
    hers.assert_is(200, b"hers");
    stage.gateway.settled().await;
    let his = stage.get(path).await;
    let expected: &[u8] = if may_be_shared { b"hers" } else { b"his" };
    assert_eq!(his.body, expected, "{request:?}, {response:?}, {path}");
    assert_eq!(his.is_hit(), may_be_shared, "{request:?}, {response:?}");
    if may_be_shared {
        assert_eq!(his.field("set-cookie"), None, "{response:?}");
    }
    stage.finish().await;
}

#[tokio::test]
async fn row_77_answers_to_credentials_need_permission_to_be_shared() {
    let credentials = "Authorization: Basic YTpi\r\n";
    for path in ["/x", "/app-1.0.tar.gz"] {
        for fields in [
            FRESH,
            "Expires: Fri, 01 Jan 2100 00:00:00 GMT\r\n",
            "Cache-Control: private, max-age=600\r\n",
            "Cache-Control: no-store, public\r\n",
        ] {
            check_shared(credentials, fields, path, false).await;
        }
    }
    for fields in [
        "Cache-Control: public, max-age=600\r\n",
        "Cache-Control: s-maxage=600\r\n",
        "Cache-Control: must-revalidate, max-age=600\r\n",
    ] {
        check_shared(credentials, fields, "/x", true).await;
    }
}

#[tokio::test]
async fn row_78_cookies_private_and_no_store_are_for_one_client() {
    for path in ["/x", "/app-1.0.tar.gz"] {
        for fields in [
            "Cache-Control: no-store\r\n",
            "Cache-Control: max-age=600\r\nCache-Control: no-store\r\n",
            "Cache-Control: private, max-age=600\r\n",
            "Cache-Control: PRIVATE, s-maxage=600\r\n",
            "Cache-Control: max-age=600\r\nSet-Cookie: session=1\r\n",
        ] {
            check_shared("", fields, path, false).await;
        }
    }
    let cookie = "Cookie: session=1\r\n";
    check_shared(cookie, FRESH, "/x", false).await;
    let public = "Cache-Control: public, max-age=600\r\nSet-Cookie: session=1\r\n";
    check_shared("", public, "/x", true).await;
}

#[tokio::test]
async fn row_81_both_readers_of_a_fill_that_cannot_be_continued_see_its_end() {
    let stage = Stage::new().await;
    let content = Content::new(81, 300_000);
    let gate = Gate::new();
    // A weak tag binds no bytes to those that came before.
    let fields = format!("{FRESH}ETag: W/\"v1\"\r\n");
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n{fields}\r\n");
    let broken = Script::of(head)
        .then(content.slice(0, 150_000))
        .wait(&gate)
        .reset();
    stage
        .origin
        .on_each("/x", [broken, Script::ok(&fields, &content.bytes())]);
    let mut readers = Vec::new();
    for _ in 0..2 {
        let mut client = stage.gateway.connect().await;
        client
            .send(forward("GET", &stage.origin.url("/x"), ""))
            .await;
        let head = client.head().await;
        client.exactly(1000, &mut |_| ()).await.expect("bytes");
        readers.push((client, head));
    }
    gate.open();
    for (client, head) in &mut readers {
        let mut received = 1000;
        let rest = weir_tests::response::Framing::Length(300_000);
        assert_eq!(head.framing("GET"), Ok(rest));
        let ending = client
            .body(head, "GET", |bytes| received += bytes.len())
            .await;
        assert!(!ending.is_clean() && received < 300_000, "{received}");
    }
    assert_eq!(stage.origin.requests(), 1, "two readers, one fetch");
    stage.gateway.settled().await;
    assert!(stage.gateway.temporary_files().is_empty());
    let whole = stage.assert_fetched("/x").await;
    whole.assert_is(200, &content.bytes());
    stage.gateway.finish_with_warnings().await;
}
