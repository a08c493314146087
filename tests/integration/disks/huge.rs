//! An object that is larger than any memory goes in and out of six disks, with little of it.

use std::time::Instant;

use super::MIB;
use crate::stage::FRESH;
use weir_tests::client::{RawClient, forward};
use weir_tests::skip::skip;
use weir_tests::{Content, Ending, Gateway, Origin, Script};

const LENGTH: u64 = 5 * 1024 * 1024 * 1024 + 12_345;

/// A prime: no unit of a disk begins with the same bytes as its neighbor.
const PERIOD: usize = 7_340_033;

/// With the parity, and some for everything else that the machine does meanwhile.
const FREE_MIN_BYTES: u64 = 12 * 1024 * 1024 * 1024;

/// For running fills, as configured here.
const FILL_MEMORY: &str = "64MiB";

/// That, half as much again for pieces on their way to disks and client, and as much for everything else; 42 MiB were
/// seen. A thirtieth of the object.
const MEMORY_MAX_BYTES: u64 = 160 * 1024 * 1024;

fn free_bytes() -> u64 {
    let found = rustix::fs::statvfs(std::env::temp_dir()).expect("the temporary folder is there");
    found.f_bavail * found.f_frsize
}

/// Checks a body that repeats itself, as it comes.
struct Check {
    period: Content,
    at: u64,
}

impl Check {
    fn next(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let offset = usize::try_from(self.at % PERIOD as u64).expect("within a period");
            let (now, later) = bytes.split_at(bytes.len().min(PERIOD - offset));
            assert!(
                self.period.holds_at(offset, now),
                "wrong bytes at {}",
                self.at
            );
            self.at += now.len() as u64;
            bytes = later;
        }
    }
}

/// Downloads from `start` on and checks every byte; what X-Cache says.
async fn download(gateway: &Gateway, url: &str, fields: &str, start: u64) -> String {
    let began = Instant::now();
    let mut client = RawClient::connect(gateway.proxy()).await;
    client.send(forward("GET", url, fields)).await;
    let head = client.head().await;
    assert!(matches!(head.status, 200 | 206), "{head:?}");
    let mut check = Check {
        period: Content::new(5, PERIOD),
        at: start,
    };
    let ending = client.body(&head, "GET", |bytes| check.next(bytes)).await;
    assert_eq!((ending, check.at), (Ending::Length, LENGTH));
    eprintln!(
        "{} MiB in {:?}",
        (LENGTH - start) / MIB as u64,
        began.elapsed()
    );
    head.field("x-cache").unwrap_or_default().to_owned()
}

/// Every byte is compared, which is more than a digest says; the gateway computes one all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_gibibytes_go_in_and_out_with_bounded_memory() {
    let free = free_bytes();
    if free < FREE_MIN_BYTES {
        return skip(&format!(
            "12 GiB of disk are needed, {} MiB are free",
            free >> 20
        ));
    }
    let origin = Origin::start().await;
    let period = Content::new(5, PERIOD);
    origin.on(
        "/huge",
        Script::ok_repeating(FRESH, &period.bytes(), LENGTH),
    );
    let builder = Gateway::builder()
        .disks(6)
        .set("store.capacity", "16GiB")
        .set("fill.memory", FILL_MEMORY);
    let gateway = builder.start().await;
    let url = origin.url("/huge");
    assert_eq!(download(&gateway, &url, "", 0).await, "MISS");
    gateway.settled().await;
    assert_eq!(download(&gateway, &url, "", 0).await, "HIT");
    let end = LENGTH - 3 * MIB as u64 - 77;
    let fields = format!("Range: bytes={end}-\r\n");
    assert_eq!(download(&gateway, &url, &fields, end).await, "HIT");
    assert_eq!(origin.requests(), 1);
    let peak = gateway.memory_peak_bytes();
    eprintln!("a peak of {} MiB", peak >> 20);
    assert!(peak < MEMORY_MAX_BYTES, "a peak of {} MiB", peak >> 20);
    gateway.finish_with_warnings().await;
}
