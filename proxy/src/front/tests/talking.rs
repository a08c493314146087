//! Requests that are answered locally: order, bodies, deadlines, bounds and the end of a connection.

use super::super::FrontSettings;
use super::world::*;
use std::{io, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[tokio::test]
async fn row_39_a_body_on_a_hit_is_drained_or_the_connection_closed() {
    let world = World::local(settings()).await;
    let mut client = world.client().await;
    client
        .send(&format!(
            "GET /hit HTTP/1.1\r\nHost: h\r\nContent-Length: 40\r\n\r\n{:40}{HIT}",
            "GET /smuggled HTTP/1.1"
        ))
        .await;
    assert_eq!(client.answer().await.body, "hit");
    assert_eq!(client.answer().await.body, "hit");
    client
        .send(&format!(
            "GET /hit HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n{HIT}"
        ))
        .await;
    assert_eq!(client.answer().await.body, "hit");
    assert_eq!(client.answer().await.body, "hit");

    client
        .send("GET /hit HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\n\r\n")
        .await;
    let answer = client.answer().await;
    assert!(answer.head.contains("connection: close"), "{}", answer.head);
    assert_eq!(client.rest().await.unwrap(), "");
}

#[tokio::test]
async fn row_40_a_thousand_pipelined_requests_are_answered_in_order() {
    let world = World::local(settings()).await;
    let client = world.client().await;
    let (mut reader, mut writer) = client.stream.into_split();
    let requests = HIT.repeat(999) + "GET /hit HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let writing = tokio::spawn(async move {
        writer.write_all(requests.as_bytes()).await.unwrap();
        writer
    });
    let mut responses = String::new();
    timeout(PATIENCE, reader.read_to_string(&mut responses))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(responses.matches("\r\n\r\nhit").count(), 1000);
    drop(writing.await);
}

#[tokio::test]
async fn row_97_a_head_that_drips_is_answered_408() {
    let head_timeout = Duration::from_millis(100);
    let world = World::local(FrontSettings {
        head_timeout,
        ..settings()
    })
    .await;
    let mut client = world.client().await;
    client.send("GET /hit HTTP/1.1\r\nHo").await;
    assert_eq!(client.answer().await.status, 408);
    assert_eq!(client.rest().await.unwrap(), "");
    assert_eq!(world.rejected(), [408]);
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_a_word() {
    let idle_timeout = Duration::from_millis(50);
    let world = World::local(FrontSettings {
        idle_timeout,
        ..settings()
    })
    .await;
    let mut client = world.client().await;
    assert_eq!(client.rest().await.unwrap(), "");
    assert!(world.rejected().is_empty());
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let world = World::local(settings()).await;
    let mut client = world.client().await;
    client
        .send(&format!("BAD\r\n{}", "x".repeat(500_000)))
        .await;
    assert!(
        client
            .rest()
            .await
            .unwrap()
            .starts_with("HTTP/1.1 400 Bad Request\r\n")
    );
}

#[tokio::test]
async fn shutdown_closes_idle_connections_and_lets_running_requests_finish() {
    let mut world = World::local(settings()).await;
    let mut idle = world.client().await;
    assert_eq!(idle.status(HIT).await, 200);
    let mut running = world.client().await;
    running.send("GET /hold HTTP/1.1\r\nHost: h\r\n\r\n").await;
    timeout(PATIENCE, world.held.recv()).await.unwrap().unwrap();

    world.shutdown.send(true).unwrap();
    assert_eq!(idle.rest().await.unwrap(), "");
    assert!(!world.served.is_finished());
    assert!(
        TcpStream::connect(world.address).await.is_err(),
        "nobody listens any more"
    );

    world.handler.hold.add_permits(1);
    assert_eq!(running.answer().await.body, "held");
    assert_eq!(running.rest().await.unwrap(), "");
    timeout(PATIENCE, world.served).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_listener_that_is_handed_over_closes_also_while_a_client_waits_for_its_place() {
    let mut world = World::local(FrontSettings {
        connections_max: 1,
        ..settings()
    })
    .await;
    let mut running = world.client().await;
    running.send("GET /hold HTTP/1.1\r\nHost: h\r\n\r\n").await;
    timeout(PATIENCE, world.held.recv()).await.unwrap().unwrap();
    let mut waiting = world.client().await;
    waiting.send(HIT).await;
    until(|| world.front.counts().crowded > 0).await;

    world.front.hand_over();
    world.shutdown.send(true).unwrap();
    let closed = async { while TcpStream::connect(world.address).await.is_ok() {} };
    timeout(PATIENCE, closed).await.unwrap();

    world.handler.hold.add_permits(1);
    assert_eq!(running.answer().await.body, "held");
    assert_eq!(waiting.answer().await.body, "hit");
    timeout(PATIENCE, world.served).await.unwrap().unwrap();
}

async fn until(condition: impl Fn() -> bool) {
    let held = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, held).await.unwrap();
}

#[tokio::test]
async fn row_100_a_client_gets_its_share_of_connections() {
    let world = World::local(FrontSettings {
        connections_per_client_max: 1,
        ..settings()
    })
    .await;
    let mut first = world.client().await;
    assert_eq!(first.status(HIT).await, 200);
    let mut second = world.client().await;
    let answer = second.answer().await;
    assert_eq!(answer.status, 429);
    assert!(answer.head.contains("retry-after: "), "{}", answer.head);
    assert_eq!(world.rejected(), [429]);
    assert_eq!(first.status(HIT).await, 200);
}

#[tokio::test]
async fn row_100_an_idle_connection_makes_room_for_a_new_one() {
    let world = World::local(FrontSettings {
        connections_max: 1,
        ..settings()
    })
    .await;
    let mut idle = world.client().await;
    assert_eq!(idle.status(HIT).await, 200);
    let mut fresh = world.client().await;
    assert_eq!(fresh.status(HIT).await, 200);
    assert_eq!(idle.rest().await.unwrap(), "");
}

#[tokio::test]
async fn an_aborted_response_ends_in_a_reset() {
    let world = World::local(settings()).await;
    let mut client = world.client().await;
    client.send("GET /abort HTTP/1.0\r\n\r\n").await;
    let error = client.rest().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_dropped_request_ends_in_a_reset_too() {
    let mut world = World::local(settings()).await;
    let mut client = world.client().await;
    client.send("GET /hold HTTP/1.1\r\nHost: h\r\n\r\n").await;
    timeout(PATIENCE, world.held.recv()).await.unwrap().unwrap();
    world.served.abort();
    let error = client.rest().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn files_are_sent_whole_and_the_connection_goes_on() {
    let world = World::local(settings()).await;
    let mut client = world.client().await;
    client.send("GET /file HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let answer = client.answer().await;
    assert_eq!(answer.body.len(), FILE_BYTES);
    assert!(answer.body.bytes().all(|byte| byte == b'f'));
    assert_eq!(client.status(HIT).await, 200);
}
