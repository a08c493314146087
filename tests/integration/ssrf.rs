//! Rows 44–48, 53–55 and 63: what must not be reached through the gateway, however it is spelled.

use crate::stage::Stage;
use weir_tests::gateway::Builder;
use weir_tests::{Gateway, Script};

/// A gateway as it comes: no private network is allowed.
fn guarded() -> Builder {
    Gateway::builder().set("upstream.allow_networks", Vec::<String>::new())
}

/// Checks that each host is refused in every form; `{port}` is that of a listening origin.
async fn refused(statuses: &[u16], hosts: &[&str]) {
    let stage = Stage::with(guarded()).await;
    let port = stage.origin.address().port();
    for host in hosts {
        for form in [
            "http://",
            "/download/http://",
            "/http/",
            "/http://",
            "/download/https://",
        ] {
            let host = format!("{host}:{port}");
            let line = format!("GET {form}{host}/x HTTP/1.1\r\nHost: gateway.test\r\n\r\n");
            let response = stage.write(&line).await.response("GET").await;
            let status = response.status();
            assert!(
                statuses.contains(&status),
                "{form}{host}: {status} {:?}",
                response.text()
            );
        }
    }
    stage.origin.assert_untouched();
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_044_this_machine_is_refused() {
    let hosts = [
        "127.0.0.1",
        "127.255.255.254",
        "[::1]",
        "0.0.0.0",
        "[::]",
        "localhost",
    ];
    refused(&[403], &hosts).await;
}

#[tokio::test]
async fn row_045_metadata_services_are_refused() {
    let hosts = ["169.254.169.254", "[fd00:ec2::254]", "100.100.100.200"];
    refused(&[403], &hosts).await;
}

#[tokio::test]
async fn row_045_names_of_metadata_services_are_refused() {
    refused(
        &[403],
        &["metadata.google.internal", "METADATA.google.internal."],
    )
    .await;
}

#[tokio::test]
async fn row_046_private_and_special_networks_are_refused() {
    let hosts = [
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.1.1",
        "192.0.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "[fc00::1]",
        "[fd12:3456::1]",
        "[fe80::1]",
        "[ff02::1]",
    ];
    refused(&[403], &hosts).await;
}

#[tokio::test]
async fn row_047_addresses_in_addresses_are_unwrapped() {
    let hosts = [
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::169.254.169.254]",
        "[2002:7f00:1::]",
        "[2002:a9fe:a9fe::1]",
        "[2001:0:4136:e378:8000:63bf:80ff:fffe]",
    ];
    refused(&[403], &hosts).await;
}

#[tokio::test]
async fn row_048_numbers_that_are_no_dotted_quad_are_refused() {
    let hosts = [
        "2852039166",
        "2130706433",
        "0xa9fea9fe",
        "0x7f000001",
        "0251.0376.0251.0376",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "0x7f.1",
        "127.0.0.01",
    ];
    refused(&[400, 403], &hosts).await;
}

#[tokio::test]
async fn row_063_spelling_changes_nothing() {
    let hosts = ["LOCALHOST", "LocalHost.", "localhost."];
    refused(&[403], &hosts).await;
}

#[tokio::test]
async fn row_063_hosts_that_only_look_like_one_are_refused() {
    let hosts = [
        "%31%32%37.0.0.1",
        "127.0.0.1%2e",
        "127%2e0.0.1",
        "127.0.0.1.",
        "127.0.0.1%00",
    ];
    refused(&[400, 403], &hosts).await;
}

#[tokio::test]
async fn row_053_the_gateway_does_not_reach_its_own_ports() {
    let gateway = Gateway::start().await;
    for address in [gateway.proxy(), gateway.admin()] {
        for host in ["127.0.0.1", "localhost", "LOCALHOST.", "[::ffff:127.0.0.1]"] {
            let url = format!("http://{host}:{}/metrics", address.port());
            for target in [url.clone(), format!("/download/{url}")] {
                let line = format!("GET {target} HTTP/1.1\r\nHost: gateway.test\r\n\r\n");
                let response = gateway.connect().await.exchange(&line).await;
                assert!(
                    [403, 508].contains(&response.status()),
                    "{target}: {}",
                    response.status()
                );
                assert!(!response.text().contains("weir_requests_total"), "{target}");
            }
        }
    }
    gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_054_a_request_that_was_here_before_is_a_loop() {
    let stage = Stage::new().await;
    for via in [
        "1.1 weir-test",
        "1.1 other, 1.1 weir-test (Weir)",
        "1.0 a\r\nVia: 1.1 weir-test",
    ] {
        let response = stage.get_with("/x", &format!("Via: {via}\r\n")).await;
        assert_eq!(response.status(), 508, "{via}");
    }
    stage.origin.assert_untouched();
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_055_cdn_loop_with_the_own_name_is_a_loop() {
    let stage = Stage::new().await;
    for value in ["weir-test", "other, weir-test", "weir-test; a=b"] {
        let response = stage
            .get_with("/x", &format!("CDN-Loop: {value}\r\n"))
            .await;
        assert_eq!(response.status(), 508, "{value}");
    }
    stage.origin.assert_untouched();
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn row_055_cdn_loop_of_others_is_kept() {
    let stage = Stage::new().await;
    stage.origin.on("/x", Script::ok("", b"x"));
    let fields = "CDN-Loop: other.test\r\nVia: 1.1 not-weir-test\r\n";
    for method in ["GET", "POST"] {
        stage
            .gateway
            .request(method, &stage.origin.url("/x"), fields)
            .await
            .assert_is(200, b"x");
    }
    for seen in stage.origin.record().requests {
        assert!(
            seen.values("cdn-loop").concat().contains("other.test"),
            "{}",
            seen.head
        );
        let via = seen.values("via").join(", ");
        assert!(
            via.contains("not-weir-test") && via.contains("1.1 weir-test"),
            "{}",
            seen.head
        );
    }
    stage.finish().await;
}
