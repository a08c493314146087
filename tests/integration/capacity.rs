//! More clients than memory, and disks that take nothing any more.

use std::sync::Arc;

use futures::future::join_all;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::Barrier;

use crate::stage::{FRESH, Stage};
use weir_tests::client::{RawClient, forward};
use weir_tests::deadline::within;
use weir_tests::disk::{Mounted, NEEDS_ROOT};
use weir_tests::skip::skip;
use weir_tests::{Content, Ending, Gate, Gateway, Script};

const CLIENTS: usize = 600;

/// What the gateway may need at most for 600 clients on one object of 1 MiB, in a debug build.
/// Buffering the object for each of them would take twice that.
const MEMORY_MAX_BYTES: u64 = 300 * 1024 * 1024;

/// Sockets of 600 clients, and some for the tests beside.
const FILES_MIN: u64 = 4096;

/// Raises the soft limit of open files; a gateway started later inherits it.
fn raise_file_limit() -> bool {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit
        .maximum
        .map_or(FILES_MIN, |maximum| maximum.min(FILES_MIN));
    if limit.current.is_none_or(|current| current >= wanted) {
        return wanted >= FILES_MIN;
    }
    let raised = Rlimit {
        current: Some(wanted),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).is_ok() && wanted >= FILES_MIN
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_hundred_downloads_at_once_need_bounded_memory() {
    if !raise_file_limit() {
        return skip("fewer than 4096 open files are allowed");
    }
    let stage = Stage::new().await;
    let content = Content::new(600, 1024 * 1024);
    let gate = Gate::new();
    let half = content.length() / 2;
    stage.origin.on(
        "/x",
        Script::ok_in_halves(FRESH, &content.bytes(), half, &gate),
    );
    let all_have_a_byte = Arc::new(Barrier::new(CLIENTS + 1));
    let request = forward("GET", &stage.origin.url("/x"), "");
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (address, request) = (stage.gateway.proxy(), request.clone());
            let (content, barrier) = (content.clone(), Arc::clone(&all_have_a_byte));
            tokio::spawn(download(address, request, content, barrier))
        })
        .collect();
    within("a first byte for everybody", all_have_a_byte.wait()).await;
    gate.open();
    for client in join_all(clients).await {
        client.expect("every client gets every byte");
    }
    assert_eq!(stage.origin.requests(), 1);
    let peak = stage.gateway.memory_peak_bytes();
    assert!(
        peak < MEMORY_MAX_BYTES,
        "peak of {} MiB",
        peak / 1024 / 1024
    );
    stage.finish().await;
}

/// Waits for the others after its first byte, then checks every byte.
async fn download(
    address: std::net::SocketAddr,
    request: String,
    content: Content,
    all_have_a_byte: Arc<Barrier>,
) {
    let mut client = RawClient::connect(address).await;
    client.send(request).await;
    let head = client.head().await;
    assert_eq!(
        head.field("content-length"),
        Some(content.length().to_string().as_str())
    );
    let mut received = 0;
    let mut check = |bytes: &[u8]| {
        assert!(
            content.holds_at(received, bytes),
            "other bytes than the origin's"
        );
        received += bytes.len();
    };
    client.exactly(1, &mut check).await.expect("a first byte");
    all_have_a_byte.wait().await;
    client
        .exactly(content.length() - 1, &mut check)
        .await
        .expect("the rest");
}

/// Checks that objects that cannot be stored are served all the same, whole and identical.
async fn serves_without_storing(stage: &Stage) {
    for index in 0..4_u64 {
        let content = Content::new(index, 3 * 1024 * 1024 + 1);
        let path = format!("/unstored/{index}");
        stage.origin.on(&path, Script::ok(FRESH, &content.bytes()));
        for _ in 0..2 {
            let response = stage.get(&path).await;
            response.assert_is(200, &content.bytes());
            assert_eq!(response.ending, Ending::Length);
        }
    }
    assert_eq!(stage.gateway.get_admin("/healthz").await.status(), 200);
}

#[tokio::test]
async fn clients_are_served_while_the_disk_is_full() {
    let Some(disk) = Mounted::in_memory(64) else {
        return skip(NEEDS_ROOT);
    };
    let data = disk.path().join("data");
    let builder = Gateway::builder()
        .set("store.reserve", "1MiB")
        .set("store.capacity", "32MiB");
    let stage = Stage::with(builder.data(&data)).await;
    stage.fresh("/before", b"stored before");
    stage.get("/before").await.assert_is(200, b"stored before");
    stage.gateway.settled().await;
    let filler = disk.fill();
    serves_without_storing(&stage).await;
    stage.get("/before").await.assert_is(200, b"stored before");
    std::fs::remove_file(filler).expect("makes room");
    stage.fresh("/after", b"when there is room again");
    stage
        .get("/after")
        .await
        .assert_is(200, b"when there is room again");
    let Stage { mut gateway, .. } = stage;
    gateway.expect_log(" ERROR ");
    gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn an_object_larger_than_the_store_is_streamed() {
    let stage = Stage::with(Gateway::builder().set("store.capacity", "16MiB")).await;
    let content = Content::new(1, 24 * 1024 * 1024);
    stage.origin.on("/x", Script::ok(FRESH, &content.bytes()));
    for _ in 0..2 {
        stage.get("/x").await.assert_is(200, &content.bytes());
        stage.gateway.settled().await;
    }
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn clients_are_served_while_the_data_is_read_only() {
    let stage = Stage::with(Gateway::builder().unprivileged()).await;
    stage.fresh("/before", b"stored before");
    stage.get("/before").await.assert_is(200, b"stored before");
    stage.gateway.settled().await;
    stage.gateway.home().make_data_read_only();
    serves_without_storing(&stage).await;
    stage.get("/before").await.assert_is(200, b"stored before");
    let Stage { mut gateway, .. } = stage;
    gateway.expect_log(" ERROR ");
    gateway.finish_with_warnings().await;
}
