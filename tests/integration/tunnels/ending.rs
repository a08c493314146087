//! Row 61: how a tunnel ends, seen from both ends and in the log.

use super::{Tunnel, hears};
use rustix::process::Signal;
use weir_tests::client::Close;

/// The line of the only tunnel, once the gateway has ended.
async fn logged(tunnel: Tunnel) -> String {
    tunnel.over().await;
    let home = tunnel.gateway.home();
    tunnel.gateway.finish().await;
    let log = home.access_log();
    let line = log.into_iter().find(|line| line.contains("CONNECT"));
    line.expect("the tunnel was logged")
}

fn json(builder: weir_tests::gateway::Builder) -> weir_tests::gateway::Builder {
    builder.set("log.format", "json")
}

#[tokio::test]
async fn row_061_each_end_may_close_first() {
    for client_first in [true, false] {
        let mut tunnel = Tunnel::with(json).await;
        let (first, second) = match client_first {
            true => (&mut tunnel.near, &mut tunnel.far),
            false => (&mut tunnel.far, &mut tunnel.near),
        };
        first.send("last words").await;
        first.finish_sending().await;
        let (heard, close) = second.remainder().await;
        assert_eq!((&heard[..], close), (&b"last words"[..], Close::Fin));
        second.send("still here").await;
        hears(first, b"still here").await;
        second.finish_sending().await;
        assert_eq!(first.remainder().await.1, Close::Fin);
        let line = logged(tunnel).await;
        assert!(line.contains("\"detail\":null"), "{line}");
        assert!(line.contains("\"body_bytes\":10,\"upload_bytes\":10,\"complete\":true"));
    }
}

#[tokio::test]
async fn row_061_an_idle_tunnel_ends_at_both_ends_by_fin() {
    for half_closed in [false, true] {
        let idle = |builder| json(builder).set("tunnel.idle_timeout", "300ms");
        let mut tunnel = Tunnel::with(idle).await;
        if half_closed {
            tunnel.near.finish_sending().await;
        }
        assert_eq!(tunnel.far.remainder().await.1, Close::Fin);
        assert_eq!(tunnel.near.remainder().await.1, Close::Fin);
        let line = logged(tunnel).await;
        assert!(line.contains("\"detail\":\"idle\""), "{line}");
    }
}

#[tokio::test]
async fn a_tunnel_is_cut_after_its_total_time() {
    let total = |builder| json(builder).set("tunnel.total_time", "300ms");
    let mut tunnel = Tunnel::with(total).await;
    tunnel.near.send("a").await;
    assert_eq!(tunnel.far.remainder().await.1, Close::Reset);
    assert_eq!(tunnel.near.remainder().await.1, Close::Reset);
    let line = logged(tunnel).await;
    assert!(line.contains("\"detail\":\"total-time\""), "{line}");
    assert!(line.contains("\"complete\":false"), "{line}");
}

#[tokio::test]
async fn an_end_that_breaks_off_is_not_taken_for_one_that_closed() {
    let Tunnel {
        gateway,
        peer,
        near,
        mut far,
    } = Tunnel::with(json).await;
    near.reset();
    assert_eq!(far.remainder().await.1, Close::Reset);
    let mut near = super::open(&gateway, peer.address()).await;
    peer.accept().await.reset();
    assert_eq!(near.remainder().await.1, Close::Reset);
    let tunnel = Tunnel {
        gateway,
        peer,
        near,
        far,
    };
    let line = logged(tunnel).await;
    assert!(line.contains("\"detail\":\"broken-off\""), "{line}");
}

#[tokio::test]
async fn an_answer_that_was_sent_arrives_although_its_sender_takes_no_more() {
    let mut tunnel = Tunnel::new().await;
    tunnel.far.send("413 and goodbye").await;
    tunnel.far.finish_sending().await;
    hears(&mut tunnel.near, b"413 and goodbye").await;
    assert_eq!(tunnel.near.remainder().await.1, Close::Fin);
    drop(tunnel.far);
    tunnel.near.send(vec![0; 1_000_000]).await;
    let Tunnel { gateway, near, .. } = tunnel;
    drop(near);
    gateway.finish().await;
}

#[tokio::test]
async fn tunnels_end_with_the_drain() {
    let drain = |builder| json(builder).set("server.drain", "1s");
    let mut tunnel = Tunnel::with(drain).await;
    tunnel.near.send("before").await;
    hears(&mut tunnel.far, b"before").await;
    tunnel.gateway.signal(Signal::TERM);
    // It goes on until then.
    tunnel.far.send("meanwhile").await;
    hears(&mut tunnel.near, b"meanwhile").await;
    assert_eq!(tunnel.gateway.exited().await, Some(0));
    assert!(tunnel.near.remainder().await.0.is_empty());
    assert!(tunnel.far.remainder().await.0.is_empty());
    let log = tunnel.gateway.home().access_log().join("\n");
    assert!(
        log.contains("\"outcome\":\"tunnel\",\"detail\":\"shutdown\""),
        "{log}"
    );
    assert!(
        log.contains("\"body_bytes\":9,\"upload_bytes\":6,\"complete\":false"),
        "{log}"
    );
}
