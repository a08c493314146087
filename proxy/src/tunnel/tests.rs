//! Both directions of a tunnel over ends in memory; the tests own time. Sockets, resets and real clients are in the
//! outside tests.

use super::relay::{End, Limits, relay};
use super::*;
use bytes::BytesMut;
use std::sync::Mutex;
use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use weir_policies::tunnel::TunnelSpec;

/// What each end of a tunnel can hold, bytes.
const END_BYTES: usize = 1024;
const IDLE: Duration = Duration::from_secs(300);

/// A tunnel that runs, seen from its two ends.
struct World {
    client: DuplexStream,
    upstream: DuplexStream,
    carried: Arc<Mutex<(u64, u64)>>,
    running: JoinHandle<(End, Option<&'static str>)>,
}

impl World {
    fn new(early: &[u8], total: Option<Duration>) -> Self {
        let spec = TunnelSpec {
            enabled: true,
            deny_hosts: vec!["denied.*".into()],
            ..TunnelSpec::default()
        };
        let settings = TunnelSettings {
            policy: TunnelPolicy::compile(&spec).unwrap(),
            idle_timeout: IDLE,
            total_time_max: total,
            tunnels_max: 1,
            early_bytes_max: 4096,
        };
        let (client, mut client_side) = duplex(END_BYTES);
        let (upstream, mut upstream_side) = duplex(END_BYTES);
        let carried = Arc::new(Mutex::new((0, 0)));
        let counted = Arc::clone(&carried);
        let early = BytesMut::from(early);
        let running = tokio::spawn(async move {
            let opening = Opening::new(Arc::new(settings), "h.example".to_owned(), 1);
            relay(
                (&mut client_side, &mut upstream_side),
                (early, opening),
                Limits { idle: IDLE, total },
                |up, down| {
                    let mut counted = counted.lock().unwrap();
                    *counted = (counted.0 + up, counted.1 + down);
                },
            )
            .await
        });
        Self {
            client,
            upstream,
            carried,
            running,
        }
    }

    async fn end(self) -> (End, Option<&'static str>) {
        self.running.await.unwrap()
    }
}

/// What is there to be read, up to `count` bytes.
async fn read(end: &mut DuplexStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    end.read_exact(&mut bytes).await.unwrap();
    bytes
}

/// A TLS greeting that asks for `name`.
fn hello(name: &str) -> Vec<u8> {
    let vector = |bytes: usize, content: &[u8]| {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&length[4 - bytes..], content].concat()
    };
    let entry = [&[0][..], &vector(2, name.as_bytes())].concat();
    let extension = [&[0, 0][..], &vector(2, &vector(2, &entry))].concat();
    let body = [
        &[3; 34][..],
        &[0],
        &vector(2, &[0x13, 1]),
        &vector(1, &[0]),
        &vector(2, &extension),
    ];
    let message = [&[1][..], &vector(3, &body.concat())].concat();
    [&[22, 3, 1][..], &vector(2, &message)].concat()
}

#[tokio::test(start_paused = true)]
async fn each_end_is_handed_on_behind_its_last_byte_and_the_other_direction_stays() {
    let mut world = World::new(b"early ", None);
    world.client.write_all(b"question").await.unwrap();
    world.client.shutdown().await.unwrap();
    let mut heard = Vec::new();
    world.upstream.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"early question");
    world.upstream.write_all(b"answer").await.unwrap();
    assert_eq!(read(&mut world.client, 6).await, b"answer");
    world.upstream.shutdown().await.unwrap();
    assert_eq!(world.client.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(*world.carried.lock().unwrap(), (14, 6));
    assert_eq!(world.end().await, (End::Closed, None));
}

#[tokio::test(start_paused = true)]
async fn row_061_an_idle_tunnel_ends_and_a_byte_in_either_direction_puts_that_off() {
    let mut world = World::new(b"", None);
    let started = Instant::now();
    for _ in 0..3 {
        sleep(IDLE / 2).await;
        world.client.write_all(b"c").await.unwrap();
        assert_eq!(read(&mut world.upstream, 1).await, b"c");
        sleep(IDLE / 2).await;
        world.upstream.write_all(b"u").await.unwrap();
        assert_eq!(read(&mut world.client, 1).await, b"u");
    }
    assert_eq!(world.end().await.0, End::Idle);
    assert_eq!(started.elapsed().as_secs(), (IDLE * 4).as_secs());
}

#[tokio::test(start_paused = true)]
async fn row_061_a_half_closed_tunnel_is_idle_as_any_other() {
    let mut world = World::new(b"", None);
    world.client.shutdown().await.unwrap();
    assert_eq!(world.end().await.0, End::Idle);
}

#[tokio::test(start_paused = true)]
async fn a_busy_tunnel_ends_after_its_total_time() {
    let total = Duration::from_secs(3600);
    let mut world = World::new(b"", Some(total));
    let started = Instant::now();
    while world.upstream.write_all(b"tick").await.is_ok() {
        if timeout(
            Duration::from_secs(10),
            world.client.read_exact(&mut [0; 4]),
        )
        .await
        .is_ok()
        {
            sleep(Duration::from_secs(1)).await;
        } else {
            break;
        }
        if world.running.is_finished() {
            break;
        }
    }
    assert_eq!(world.running.await.unwrap().0, End::TotalTime);
    assert!(started.elapsed() >= total);
}

#[tokio::test(start_paused = true)]
async fn a_slow_end_slows_the_other_one_down() {
    let mut world = World::new(b"", None);
    let mut taken = 0;
    let piece = [7; 512];
    while timeout(Duration::from_secs(1), world.upstream.write_all(&piece))
        .await
        .is_ok()
    {
        taken += piece.len();
    }
    // The two ends and one buffer between them.
    assert!(taken <= 64 * 1024 + 3 * END_BYTES, "{taken}");
    drop(world.upstream);
    let mut rest = Vec::new();
    world.client.read_to_end(&mut rest).await.unwrap();
    assert!(rest.len() >= taken, "{} of {taken}", rest.len());
    drop(world.client);
    assert_eq!(world.running.await.unwrap().0, End::Closed);
}

#[tokio::test(start_paused = true)]
async fn row_062_a_name_that_is_denied_never_leaves() {
    let hello = hello("denied.example");
    for early in [0, 30, hello.len()] {
        let (early, later) = hello.split_at(early);
        let mut world = World::new(early, None);
        world.client.write_all(later).await.unwrap();
        let mut heard = Vec::new();
        world.upstream.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"");
        assert_eq!(world.end().await, (End::Refused, None));
    }
}

#[tokio::test(start_paused = true)]
async fn row_062_another_name_that_is_allowed_is_noted() {
    for (name, note) in [
        ("other.example", Some("server-name-differs")),
        ("H.example", None),
    ] {
        let hello = hello(name);
        let mut world = World::new(&hello[..9], None);
        // The far end may speak first, whatever is held here.
        world.upstream.write_all(b"hi").await.unwrap();
        assert_eq!(read(&mut world.client, 2).await, b"hi");
        assert_eq!(*world.carried.lock().unwrap(), (0, 2));
        world.client.write_all(&hello[9..]).await.unwrap();
        assert_eq!(read(&mut world.upstream, hello.len()).await, hello);
        drop((world.client, world.upstream));
        assert_eq!(world.running.await.unwrap(), (End::Closed, note));
    }
}

#[tokio::test(start_paused = true)]
async fn a_greeting_is_held_within_its_bound_and_not_beyond_its_end() {
    let endless = [&[22, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff][..], &[0; 5000]].concat();
    let mut world = World::new(b"", None);
    // It may be let go before it has said everything.
    world.client.write_all(&endless).await.ok();
    let mut heard = Vec::new();
    world.upstream.read_to_end(&mut heard).await.unwrap();
    assert_eq!((heard.len(), world.end().await.0), (0, End::Refused));

    let mut world = World::new(&endless[..100], None);
    world.client.shutdown().await.unwrap();
    assert_eq!(read(&mut world.upstream, 100).await, &endless[..100]);
}
