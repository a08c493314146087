//! Commands while one process takes over from another: nobody who asks notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::stage::{FRESH, Stage};
use weir_tests::deadline::within;
use weir_tests::{Gate, Script};

#[tokio::test]
async fn a_url_that_is_being_ensured_is_ensured_by_the_next_process() {
    let stage = Stage::new().await;
    let (gate, reached) = (Gate::new(), Gate::new());
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n{FRESH}\r\n01234");
    let script = Script::of(head).reached(&reached).wait(&gate).then("56789");
    stage.origin.on("/running", script);
    stage.fresh("/waiting", b"waiting");
    let urls = ["/running", "/waiting"].map(|path| stage.origin.url(path));
    let home = stage.gateway.home();
    let [running, waiting] = &urls;
    let ensuring = home.weir(["ensure", "--parallel", "1", running, waiting]);
    let upgrading = async {
        reached.passed("the fill has begun").await;
        let (stage, old) = stage.upgraded().await;
        gate.open();
        (stage, old)
    };
    let (run, (stage, old)) = tokio::join!(ensuring, upgrading);
    let expected = format!("fetched  {running}  10 bytes\nfetched  {waiting}  7 bytes\n");
    assert_eq!(run.assert_code(0).text(), expected, "{}", run.stderr);
    assert_eq!(run.stderr, "");
    old.ends_well().await;
    stage.assert_hit("/running", b"0123456789").await;
    stage.finish().await;
}

#[tokio::test]
async fn a_gateway_answers_at_every_moment_of_two_upgrades() {
    let mut stage = Stage::new().await;
    let home = stage.gateway.home();
    let enough = Arc::new(AtomicBool::new(false));
    let asking = tokio::spawn({
        let enough = Arc::clone(&enough);
        async move {
            let mut answered = 0_u32;
            while !enough.load(Ordering::Relaxed) {
                home.weir(["stat"]).await.assert_code(0);
                answered += 1;
            }
            answered
        }
    });
    for _ in 0..2 {
        let (next, old) = stage.upgraded().await;
        stage = next;
        old.ends_well().await;
    }
    enough.store(true, Ordering::Relaxed);
    let answered = within("the last answer", asking).await;
    assert!(answered.expect("every one was answered") > 0);
    stage.finish().await;
}
