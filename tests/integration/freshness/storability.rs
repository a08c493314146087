//! What may be stored at all (RFC 9111 §3).

use super::Second::{Fetch, Hit};
use super::check;
use crate::stage::{FRESH, Stage};
use weir_tests::Script;

#[tokio::test]
async fn final_answers_with_a_lifetime_are_stored() {
    check(&[
        ("203 Non-Authoritative Information", FRESH, Hit),
        (
            "301 Moved Permanently",
            "Cache-Control: max-age=600\r\nLocation: /y\r\n",
            Hit,
        ),
        (
            "308 Permanent Redirect",
            "Cache-Control: max-age=600\r\nLocation: /y\r\n",
            Hit,
        ),
        ("404 Not Found", FRESH, Hit),
        ("410 Gone", FRESH, Hit),
    ])
    .await;
}

#[tokio::test]
async fn no_content_is_stored() {
    let stage = Stage::new().await;
    stage.origin.on(
        "/x",
        Script::of(format!("HTTP/1.1 204 No Content\r\n{FRESH}\r\n")),
    );
    assert_eq!(stage.get("/x").await.status(), 204);
    stage.gateway.settled().await;
    let again = stage.get("/x").await;
    assert_eq!(
        (again.status(), again.is_hit(), stage.origin.requests()),
        (204, true, 1)
    );
    stage.finish().await;
}

#[tokio::test]
async fn what_nobody_called_fresh_is_not_stored() {
    check(&[
        ("200 OK", "", Fetch),
        ("302 Found", "Location: /y\r\n", Fetch),
        ("400 Bad Request", "", Fetch),
        ("404 Not Found", "", Fetch),
        ("500 Internal Server Error", "", Fetch),
        ("503 Service Unavailable", "", Fetch),
    ])
    .await;
}

#[tokio::test]
async fn what_must_not_be_stored_is_not() {
    check(&[
        ("200 OK", "Cache-Control: no-store\r\n", Fetch),
        ("200 OK", "Cache-Control: no-store, max-age=600\r\n", Fetch),
        (
            "200 OK",
            "Cache-Control: max-age=600\r\nCache-Control: no-store\r\n",
            Fetch,
        ),
        ("200 OK", "Cache-Control: private, max-age=600\r\n", Fetch),
        ("200 OK", "Cache-Control: no-cache, max-age=600\r\n", Fetch),
        (
            "200 OK",
            "Cache-Control: max-age=600\r\nSet-Cookie: a=b\r\n",
            Fetch,
        ),
        ("200 OK", "Cache-Control: max-age=600\r\nVary: *\r\n", Fetch),
    ])
    .await;
}

#[tokio::test]
async fn answers_to_credentials_are_stored_only_with_leave() {
    let stage = Stage::new().await;
    let credentials = "Authorization: Basic YTpi\r\n";
    let rows = [
        ("/plain", "Cache-Control: max-age=600\r\n", false),
        ("/public", "Cache-Control: public, max-age=600\r\n", true),
        ("/shared", "Cache-Control: s-maxage=600\r\n", true),
        (
            "/must",
            "Cache-Control: must-revalidate, max-age=600\r\n",
            true,
        ),
    ];
    for (path, fields, may_be_shared) in rows {
        stage.origin.on(path, Script::ok(fields, b"x"));
        stage.get_with(path, credentials).await.assert_is(200, b"x");
        stage.gateway.settled().await;
        let before = stage.origin.requests();
        let response = stage.get(path).await;
        response.assert_is(200, b"x");
        // Leave to store is no duty to: but what has no leave must be fetched.
        if !may_be_shared {
            assert!(!response.is_hit(), "{path}");
            assert_eq!(stage.origin.requests(), before + 1, "{path}");
        }
    }
    stage.finish().await;
}

#[tokio::test]
async fn variants_are_told_apart_by_the_fields_that_vary_names() {
    let stage = Stage::new().await;
    let fields = format!("{FRESH}Vary: X-Choice\r\n");
    stage.origin.on_each(
        "/x",
        [Script::ok(&fields, b"tea"), Script::ok(&fields, b"coffee")],
    );
    for (choice, body) in [("tea", "tea"), ("coffee", "coffee")] {
        let asked = format!("X-Choice: {choice}\r\n");
        stage
            .get_with("/x", &asked)
            .await
            .assert_is(200, body.as_bytes());
        stage.gateway.settled().await;
    }
    for (choice, body) in [("tea", "tea"), ("coffee", "coffee"), ("tea", "tea")] {
        let response = stage
            .get_with("/x", &format!("X-Choice: {choice}\r\n"))
            .await;
        response.assert_is(200, body.as_bytes());
        assert!(response.is_hit(), "{choice}");
    }
    assert_eq!(stage.origin.requests(), 2);
    stage.finish().await;
}

#[tokio::test]
async fn encoded_bytes_are_not_given_to_whoever_did_not_ask() {
    let stage = Stage::new().await;
    let encoded = format!("{FRESH}Content-Encoding: gzip\r\n");
    stage.origin.on_each(
        "/x",
        [Script::ok(&encoded, b"zipped"), Script::ok(FRESH, b"plain")],
    );
    stage
        .get_with("/x", "Accept-Encoding: gzip\r\n")
        .await
        .assert_is(200, b"zipped");
    stage.gateway.settled().await;
    let plain = stage.get_with("/x", "Accept-Encoding: identity\r\n").await;
    plain.assert_is(200, b"plain");
    stage.finish().await;
}

#[tokio::test]
async fn the_query_belongs_to_the_key() {
    let stage = Stage::new().await;
    for path in ["/x", "/x?", "/x?a", "/x?a=1&b=2", "/x?b=2&a=1", "/x;p"] {
        stage.fresh(path, path.as_bytes());
        stage.get(path).await.assert_is(200, path.as_bytes());
    }
    assert_eq!(stage.origin.requests(), 6);
    stage.finish().await;
}

#[tokio::test]
async fn unsafe_methods_are_passed_on_and_never_stored() {
    let stage = Stage::new().await;
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        stage.fresh("/x", method.as_bytes());
        for _ in 0..2 {
            let before = stage.origin.requests();
            let fields = "Content-Length: 0\r\n";
            let response = stage
                .gateway
                .request(method, &stage.origin.url("/x"), fields)
                .await;
            response.assert_is(200, method.as_bytes());
            assert_eq!(stage.origin.requests(), before + 1, "{method}");
        }
    }
    stage.finish().await;
}
