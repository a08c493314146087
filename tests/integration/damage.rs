//! A disk that returns other bytes than were written: never served as complete, dropped, fetched anew, counted.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::stage::{FRESH, Stage};
use weir_tests::gateway::builder::files_below;
use weir_tests::{Content, Gateway, Origin, Script};

/// The only object file below a data folder.
pub(crate) fn object_file(data: &Path) -> PathBuf {
    let mut files = files_below(&data.join("ec"));
    assert_eq!(files.len(), 1, "one object: {files:?}");
    files.remove(0)
}

/// Turns one bit in the middle of the file, which is in the middle of the body.
pub(crate) fn flip_a_bit(file: &Path) {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(file)
        .expect("opens");
    let middle = file.metadata().expect("is there").len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, middle).expect("reads");
    file.write_all_at(&[byte[0] ^ 0x10], middle)
        .expect("writes");
}

async fn assert_never_complete_then_healed(gateway: &Gateway, origin: &Origin, content: &Content) {
    let url = origin.url("/x");
    let asked = origin.requests();
    let damaged = gateway.get(&url).await;
    let refetched = origin.requests() > asked;
    assert!(
        refetched || !damaged.ending.is_clean(),
        "a damaged object was served as complete"
    );
    if !refetched {
        gateway.get(&url).await.assert_is(200, &content.bytes());
    }
    assert_eq!(origin.requests(), asked + 1, "fetched anew, once");
    gateway.settled().await;
    let healed = gateway.get(&url).await;
    healed.assert_is(200, &content.bytes());
    assert!(healed.is_hit(), "{:?}", healed.head);
    let disk = gateway.home().data().display().to_string();
    let name = format!("weir_store_corrupt_blocks_total{{disk=\"{disk}\"}}");
    assert!(gateway.metric(&name).await >= 1.0, "counted");
}

#[tokio::test]
async fn a_bad_block_is_never_served_complete_and_the_object_is_fetched_anew() {
    let stage = Stage::with(Gateway::builder().set("store.verify", "always")).await;
    let content = Content::new(1, 2_000_000);
    stage.origin.on("/x", Script::ok(FRESH, &content.bytes()));
    stage.get("/x").await.assert_is(200, &content.bytes());
    stage.assert_hit("/x", &content.bytes()).await;
    flip_a_bit(&object_file(stage.gateway.home().data()));
    assert_never_complete_then_healed(&stage.gateway, &stage.origin, &content).await;
    stage.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn a_block_that_went_bad_while_nobody_ran_is_found_by_the_first_reader() {
    let stage = Stage::new().await;
    let content = Content::new(2, 2_000_000);
    stage.origin.on("/x", Script::ok(FRESH, &content.bytes()));
    stage.get("/x").await.assert_is(200, &content.bytes());
    stage.assert_hit("/x", &content.bytes()).await;
    let home = stage.gateway.home();
    stage.gateway.finish().await;
    flip_a_bit(&object_file(home.data()));
    let again = home.start().await;
    assert_never_complete_then_healed(&again, &stage.origin, &content).await;
    again.finish_with_warnings().await;
}
