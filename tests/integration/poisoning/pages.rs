//! Rows 95 and 96: what the gateway writes itself is no markup, and what has the wrong digest is nobody's.

use weir_tests::client::RawClient;
use weir_tests::content::sha256;
use weir_tests::refusing::Refusing;
use weir_tests::{Gateway, Script};

use crate::stage::{FRESH, Stage, ruled};

/// Checks that a page of the gateway cannot run in a browser.
#[track_caller]
fn assert_inert(response: &weir_tests::Response, about: &str) {
    assert!(response.status() >= 400, "{about}: {}", response.status());
    let media_type = response.field("content-type").unwrap_or_default();
    let text = response.text_whole().to_lowercase();
    let is_markup = media_type.contains("html") || media_type.is_empty();
    assert!(!is_markup || !text.contains("<script"), "{about}: {text}");
    assert_eq!(
        response.field("x-content-type-options"),
        Some("nosniff"),
        "{about}"
    );
    let policy = response.field("content-security-policy");
    assert!(
        policy.is_some_and(|policy| policy.contains("default-src 'none'")),
        "{about}: {policy:?}"
    );
}

#[tokio::test]
async fn row_95_error_pages_are_no_markup() {
    let gateway = Gateway::start().await;
    let refusing = Refusing::start();
    let script = "<script>alert(1)</script>";
    let escaped = "%3Cscript%3Ealert(1)%3C/script%3E";
    let targets = [
        format!("/{script}"),
        format!("/download/{}/{escaped}", refusing.url()),
        format!("/download/{}/{script}", refusing.url()),
        format!("/download/gopher://{escaped}/"),
        format!("/http/no-such-host.invalid/{escaped}"),
        format!("/nowhere/{escaped}"),
    ];
    for target in targets {
        for accept in ["text/html", "*/*", "application/problem+json"] {
            let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\nAccept: {accept}\r\n\r\n");
            let mut client = RawClient::connect(gateway.proxy()).await;
            let response = client.exchange(&request).await;
            assert_inert(&response, &format!("{target}, {accept}"));
        }
    }
    gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_96_a_file_with_another_digest_is_neither_stored_nor_completed() {
    let good = b"the published bytes";
    let stage = Stage::with(Gateway::builder()).await;
    let address = stage.origin.address();
    let Stage { gateway, origin } = stage;
    gateway.finish().await;
    let rule = format!(
        "host = [\"{}\"]\npath = [\"/app-1.0.tar.gz\"]\nverify = \"sha256:{}\"",
        address.ip(),
        sha256(good)
    );
    let mut gateway = ruled(&rule).start().await;
    gateway.expect_log("not what was published");
    gateway.expect_log("the digest is not the expected one");
    let stage = Stage { gateway, origin };
    let path = "/app-1.0.tar.gz";
    stage.origin.on_each(
        path,
        [
            Script::ok(FRESH, b"the replaced bytes!"),
            Script::ok(FRESH, good),
        ],
    );
    let bad = stage.get(path).await;
    assert!(
        bad.status() >= 500 || !bad.ending.is_clean(),
        "passed off as the published file: {:?}",
        bad.head
    );
    stage.gateway.settled().await;
    assert!(stage.gateway.temporary_files().is_empty());
    stage.assert_fetched(path).await.assert_is(200, good);
    stage.assert_hit(path, good).await;
    stage.finish().await;
}
