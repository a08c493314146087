//! Row 60 and what a tunnel does with bytes: all of them, in order, both ways, and never more than a buffer of them.

use super::{Peer, Tunnel, hears, request, tunnels_to};
use weir_tests::Content;
use weir_tests::client::Close;

#[tokio::test]
async fn row_060_early_bytes_go_out_once_and_first() {
    let peer = Peer::start().await;
    let gateway = tunnels_to(peer.address().port()).start().await;
    let mut near = gateway.connect().await;
    let early = "GET /looks-like-a-request HTTP/1.1\r\n\r\n";
    near.send(format!("{}{early}", request(peer.address())))
        .await;
    let mut far = peer.accept().await;
    hears(&mut far, early.as_bytes()).await;
    let head = near.head().await;
    assert_eq!((head.status, head.fields.len()), (200, 0), "{head:?}");
    near.send("later").await;
    near.finish_sending().await;
    let (rest, close) = far.remainder().await;
    assert_eq!((&rest[..], close), (&b"later"[..], Close::Fin));
    far.send("HTTP/1.1 answer").await;
    far.finish_sending().await;
    let (heard, close) = near.remainder().await;
    assert_eq!((&heard[..], close), (&b"HTTP/1.1 answer"[..], Close::Fin));
    gateway.finish().await;
}

#[tokio::test]
async fn a_name_is_tried_at_all_its_addresses() {
    let peer = Peer::start().await;
    let port = peer.address().port();
    let gateway = tunnels_to(port).start().await;
    // Often ::1 as well, where nobody listens.
    let mut near = gateway.connect().await;
    near.send(request(format!("LocalHost.:{port}"))).await;
    assert_eq!(near.head().await.status, 200);
    let mut far = peer.accept().await;
    far.send("hi").await;
    hears(&mut near, b"hi").await;
    drop((near, far));
    gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn both_directions_run_at_once_and_are_counted() {
    let tunnel = Tunnel::with(|builder| builder.set("log.format", "json")).await;
    let (up, down) = (Content::new(1, 3_000_000), Content::new(2, 2_000_000));
    let (up_bytes, down_bytes) = (up.bytes(), down.bytes());
    let (mut near_up, mut far_up) = (Vec::new(), Vec::new());
    let Tunnel {
        gateway,
        peer,
        near,
        far,
    } = tunnel;
    let (near, far) = (near.into_stream(), far.into_stream());
    let (mut near_reads, mut near_writes) = near.into_split();
    let (mut far_reads, mut far_writes) = far.into_split();
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let all = async {
        tokio::join!(
            async {
                near_writes.write_all(&up_bytes).await.expect("sends");
                near_writes.shutdown().await.expect("ends");
            },
            async {
                far_writes.write_all(&down_bytes).await.expect("sends");
                far_writes.shutdown().await.expect("ends");
            },
            async { near_reads.read_to_end(&mut near_up).await.expect("reads") },
            async { far_reads.read_to_end(&mut far_up).await.expect("reads") },
        )
    };
    weir_tests::deadline::within("both directions", all).await;
    assert!(
        near_up == down.bytes() && far_up == up.bytes(),
        "other bytes"
    );
    weir_tests::deadline::until("the tunnel ends", async || {
        gateway.metric("weir_tunnel_active").await <= 0.0
    })
    .await;
    for (direction, bytes) in [("up", 3_000_000.0), ("down", 2_000_000.0)] {
        let name = format!("weir_tunnel_bytes_total{{direction=\"{direction}\"}}");
        assert_eq!(gateway.metric(&name).await, bytes, "{direction}");
    }
    let result = "weir_requests_total{form=\"none\",result=\"tunnel\"}";
    assert_eq!(gateway.metric(result).await, 1.0);
    let home = gateway.home();
    gateway.finish().await;
    let log = home.access_log().join("\n");
    let url = format!("\"method\":\"CONNECT\",\"url\":\"{}\"", peer.address());
    let bytes = "\"body_bytes\":2000000,\"upload_bytes\":3000000,\"complete\":true";
    assert!(log.contains(&url) && log.contains(bytes), "{log}");
    assert!(
        log.contains("\"outcome\":\"tunnel\",\"detail\":null"),
        "{log}"
    );
}

#[tokio::test]
async fn a_client_that_does_not_read_costs_no_memory() {
    const BYTES: usize = 128 * 1024 * 1024;
    let Tunnel {
        gateway,
        peer: _peer,
        mut near,
        mut far,
    } = Tunnel::new().await;
    let before = gateway.memory_peak_bytes();
    let sending = tokio::spawn(async move {
        let piece = vec![7; 1024 * 1024];
        for _ in 0..BYTES / piece.len() {
            far.send(&piece).await;
        }
        far.finish_sending().await;
        far
    });
    // The sockets fill up first; then nothing moves any more.
    let down = "weir_tunnel_bytes_total{direction=\"down\"}";
    let (mut seen, mut same) = (0.0, 0);
    while same < 20 {
        let now = gateway.metric(down).await;
        same = if now > seen || now == 0.0 {
            0
        } else {
            same + 1
        };
        seen = now;
    }
    assert!(seen < BYTES as f64, "everything was taken in");
    let mut heard = 0;
    near.until_close(&mut |bytes| heard += bytes.len()).await;
    assert_eq!(heard, BYTES);
    let grown = gateway.memory_peak_bytes().saturating_sub(before);
    assert!(grown < 16 * 1024 * 1024, "{grown} bytes more than before");
    let far = sending.await.expect("sends to its end");
    drop((near, far));
    gateway.finish().await;
}
