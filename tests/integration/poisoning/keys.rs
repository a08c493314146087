//! Rows 72–75: two requests that an origin may answer differently never share an entry.

use crate::stage::{FRESH, Stage};
use weir_tests::client::forward;
use weir_tests::{Origin, Script};

#[tokio::test]
async fn row_72_host_port_path_and_query_are_in_the_key() {
    let stage = Stage::new().await;
    let second = Origin::start().await;
    let by_name = stage.origin.url("/x").replace("127.0.0.1", "localhost");
    let urls = [
        (stage.origin.url("/x"), "first"),
        (second.url("/x"), "other port"),
        (stage.origin.url("/X"), "other case"),
        (stage.origin.url("/x/"), "folder"),
        (stage.origin.url("/x?"), "empty query"),
        (stage.origin.url("/x?y"), "query"),
        (by_name, "other host"),
    ];
    for (url, body) in &urls {
        let path = &url[url.find('/').expect("a scheme") + 2..];
        let path = &path[path.find('/').expect("a path")..];
        for origin in [&stage.origin, &second] {
            origin.on(path, Script::ok(FRESH, body.as_bytes()));
        }
        let response = stage.gateway.get(url).await;
        response.assert_is(200, body.as_bytes());
        assert!(!response.is_hit(), "{url}");
        stage.gateway.settled().await;
    }
    for (url, body) in &urls {
        let response = stage.gateway.get(url).await;
        response.assert_is(200, body.as_bytes());
        assert!(response.is_hit(), "{url}");
    }
    assert_eq!(stage.origin.requests() + second.requests(), urls.len());
    stage.finish().await;
}

#[tokio::test]
async fn row_73_fields_that_name_another_url_or_method_do_not_reach_the_origin() {
    let stage = Stage::new().await;
    let tricks = [
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "gopher"),
        ("X-Forwarded-Scheme", "nothttps"),
        ("X-Forwarded-Port", "1"),
        ("X-Forwarded-Prefix", "/evil"),
        ("X-Host", "evil.example"),
        ("X-Original-URL", "/admin"),
        ("X-Rewrite-URL", "/admin"),
        ("X-HTTP-Method-Override", "DELETE"),
        ("X-HTTP-Method", "DELETE"),
        ("X-Method-Override", "DELETE"),
        ("Forwarded", "host=evil.example"),
        ("Proxy", "http://evil.example/"),
    ];
    for (index, (name, value)) in tricks.into_iter().enumerate() {
        let path = format!("/{index}");
        stage.fresh(&path, b"x");
        let fields = format!("{name}: {value}\r\n");
        stage.get_with(&path, &fields).await.assert_is(200, b"x");
        let record = stage.origin.record();
        let seen = record.requests.last().expect("a request");
        let sent = seen.values(name).join(",");
        assert!(!sent.contains(value), "{name} reached the origin: {sent}");
        assert_eq!((seen.method(), seen.target()), ("GET", path.as_str()));
        assert_eq!(seen.values("host"), [stage.origin.authority()]);
    }
    stage.finish().await;
}

#[tokio::test]
async fn row_74_queries_and_parameters_are_kept_byte_for_byte() {
    let stage = Stage::new().await;
    let targets = [
        "/x?a=1&b=2",
        "/x?b=2&a=1",
        "/x?a=1;b=2",
        "/x;a=1",
        "/x;a=2",
        "/x?a=A",
        "/x?a=%41",
        "/x?a=%2f",
        "/x?a=%2F",
        "/x?a=1&utm_content=x",
        "/x?a=1&a=1",
        "/x?a=1&",
        "/x?a=+",
        "/x?a=%20",
        "/x??a=1",
    ];
    for target in targets {
        stage.fresh(target, target.as_bytes());
        let response = stage.get(target).await;
        response.assert_is(200, target.as_bytes());
        assert!(!response.is_hit(), "{target} shares an entry");
        stage.gateway.settled().await;
    }
    let record = stage.origin.record();
    let seen: Vec<&str> = record.requests.iter().map(|seen| seen.target()).collect();
    assert_eq!(seen, targets);
    stage.finish().await;
}

#[tokio::test]
async fn row_74_a_get_with_a_body_poisons_nobody() {
    let stage = Stage::new().await;
    for (path, framing, body) in [
        ("/length", "Content-Length: 6\r\n", "x=evil"),
        (
            "/chunks",
            "Transfer-Encoding: chunked\r\n",
            "6\r\nx=evil\r\n0\r\n\r\n",
        ),
    ] {
        stage.origin.on_each(
            path,
            [
                Script::ok(FRESH, b"to the first"),
                Script::ok(FRESH, b"to the second"),
            ],
        );
        let request = forward("GET", &stage.origin.url(path), framing) + body;
        let mut client = stage.gateway.connect().await;
        client.send(request).await;
        let first = client.response("GET").await;
        stage.gateway.settled().await;
        let second = stage.get(path).await;
        let record = stage.origin.record();
        let seen = record.requests.iter().find(|seen| seen.target() == path);
        let saw_body = seen.is_some_and(|seen| !seen.body.is_empty());
        if saw_body {
            assert!(!second.is_hit(), "{path}: an answer to a body is shared");
        }
        assert!([200, 400, 413].contains(&first.status()), "{path}");
        assert_eq!(second.status(), 200, "{path}");
    }
    stage.finish().await;
}

#[tokio::test]
async fn row_75_no_spelling_of_a_path_makes_a_personal_answer_public() {
    let stage = Stage::new().await;
    let paths = [
        "/account/x.css",
        "/account;x.css",
        "/account%0a.css",
        "/account%23.css",
        "/account%3f.css",
        "/account%00.css",
        "/account/..%2fx.css",
        "/account/app-1.0.tar.gz",
        "/account;app-1.0.tar.gz",
        "/account%2fapp-1.0.zip",
    ];
    let personal = [
        "Cache-Control: no-store\r\n",
        "Cache-Control: private, max-age=600\r\n",
        "Cache-Control: max-age=600\r\nSet-Cookie: session=1\r\n",
    ];
    for path in paths {
        for (index, fields) in personal.into_iter().enumerate() {
            let path = format!("{path}?{index}");
            stage.origin.on_each(
                &path,
                [Script::ok(fields, b"hers"), Script::ok(fields, b"his")],
            );
            let hers = stage.get(&path).await;
            stage.gateway.settled().await;
            let his = stage.get(&path).await;
            if stage.origin.record().count(&path) == 0 {
                assert_eq!((hers.status(), his.status()), (400, 400), "{path}");
                continue;
            }
            hers.assert_is(200, b"hers");
            his.assert_is(200, b"his");
        }
    }
    stage.finish().await;
}
