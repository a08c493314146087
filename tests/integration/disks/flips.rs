//! Bits that turn on two disks: the right bytes are served, the disks are named, the files are made whole again.

use std::path::{Path, PathBuf};

use super::{KIB, MIB, Stored, shard};
use crate::damage::flip_a_bit;
use weir_tests::deadline::until;
use weir_tests::{Content, Gateway};

/// Waits until a file holds these bytes again.
pub(super) async fn becomes(file: &Path, bytes: &[u8]) {
    let is_healed = async || std::fs::read(file).ok().as_deref() == Some(bytes);
    until(&format!("{} is repaired", file.display()), is_healed).await;
}

/// Whether a shard holds bytes of the object itself: nobody reads its parity as long as those are right.
fn is_data(shard: &[u8], content: &Content) -> bool {
    const UNIT: usize = 64 * KIB;
    let starts = (0..content.length()).step_by(UNIT);
    let mut starts = starts.map(|start| content.slice(start, start + 64));
    starts.any(|bytes| shard.windows(64).step_by(8).any(|window| window == bytes))
}

#[tokio::test]
async fn one_bit_on_each_of_two_shards_is_served_right_named_and_repaired() {
    let builder = Gateway::builder().disks(6).set("store.verify", "always");
    let Stored { gateway, shelf } = Stored::with(builder).await;
    let (index, content) = (5, &shelf.contents[5]);
    assert_eq!(content.length(), MIB);
    let home = gateway.home();
    let flipped: Vec<(usize, PathBuf, Vec<u8>)> = (0..6)
        .map(|slot| {
            let file = shard(&home.disks()[slot], MIB).expect("a shard on every disk");
            let whole = std::fs::read(&file).expect("reads");
            (slot, file, whole)
        })
        .filter(|(_, _, whole)| is_data(whole, content))
        .take(2)
        .collect();
    for (_, file, _) in &flipped {
        flip_a_bit(file);
    }
    let asked = shelf.origin.requests();
    let response = gateway.get(&shelf.url(index)).await;
    response.assert_is(200, &content.bytes());
    assert!(response.is_hit(), "{:?}", response.head);
    for (slot, file, whole) in &flipped {
        let disk = home.disks()[*slot].display().to_string();
        gateway
            .says(&["a shard is not what was written", &disk])
            .await;
        let name = format!("weir_store_corrupt_blocks_total{{disk=\"{disk}\"}}");
        assert!(gateway.metric(&name).await >= 1.0, "{disk} is counted");
        becomes(file, whole).await;
    }
    assert_eq!(shelf.origin.requests(), asked);
    let seen = gateway.all_healthy().await;
    assert_eq!(seen.underprotected_objects(), 0);
    shelf.assert_all_hits(&gateway).await;
    gateway.finish_with_warnings().await;
}
