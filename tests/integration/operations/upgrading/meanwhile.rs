//! What a gateway is told while another one takes over from it, and afterwards.

use rustix::process::Signal;
use std::path::Path;

use super::{read_rest, reading};
use crate::stage::{FRESH, Stage};
use weir_tests::deadline::until;
use weir_tests::{Content, Doorway, Gate, Gateway, Script};

/// Moves the access log away, says so, and waits until there is a new one.
async fn rotate(gateway: &Gateway) {
    let log = gateway.home().folder().join("access.log");
    std::fs::rename(&log, log.with_extension("old")).expect("there is a log");
    gateway.signal(Signal::USR1);
    appears(&log).await;
}

async fn appears(file: &Path) {
    until("a new access log", async || file.exists()).await;
}

#[tokio::test]
async fn signals_and_commands_are_heard_during_a_handshake() {
    let stage = Stage::new().await;
    stage.fresh("/stays", b"stays");
    stage.fresh("/goes", b"goes");
    stage.get("/stays").await;
    stage.get("/goes").await;
    stage.fresh("/purged", b"purged");
    stage.get("/purged").await;
    stage.gateway.settled().await;
    let door = Doorway::of(&stage.gateway.home());
    let steps = async {
        let mut handshake = door.newcomer().await;
        handshake.begin().await;
        let said = stage.gateway.reload().await;
        assert!(said.contains("nothing has changed"), "{said}");
        stage.gateway.weir(["reload"]).await.assert_code(0);
        rotate(&stage.gateway).await;
        let url = stage.origin.url("/goes");
        let posted = stage.gateway.request("POST", &url, "Content-Length: 0\r\n");
        posted.await.assert_is(200, b"goes");
        let url = stage.origin.url("/purged");
        stage.gateway.weir(["purge", &url]).await.assert_code(0);
        handshake.pass_up("ready").await;
        handshake.pass_down("yours").await;
        handshake.pass_up("taken").await;
        handshake.pass_down("released").await;
    };
    let (new, ()) = tokio::join!(stage.gateway.upgrade(), steps);
    new.owns_data().await;
    let (stage, old) = stage.replaced_by(new);
    old.ends_well().await;
    stage.assert_hit("/stays", b"stays").await;
    stage.assert_fetched("/goes").await;
    stage.assert_fetched("/purged").await;
    stage.finish().await;
}

#[tokio::test]
async fn a_reload_that_changes_something_breaks_off_the_handshake() {
    let mut stage = Stage::new().await;
    stage.fresh("/x", b"x");
    stage.get("/x").await;
    let home = stage.gateway.home();
    let door = Doorway::of(&home);
    let steps = async {
        let mut handshake = door.newcomer().await;
        handshake.begin().await;
        home.set("listen.idle_timeout", "77s");
        let said = stage.gateway.reload().await;
        assert!(said.contains("configuration reloaded"), "{said}");
        handshake.old_is_gone().await;
    };
    let (run, ()) = tokio::join!(stage.gateway.upgrade_in_vain(), steps);
    run.assert_code(1);
    stage
        .gateway
        .expect_log("the configuration was reloaded meanwhile");
    door.give_back();
    stage.assert_hit("/x", b"x").await;
    let (stage, old) = stage.upgraded().await;
    old.ends_well().await;
    stage.finish().await;
}

#[tokio::test]
async fn what_runs_on_in_the_old_process_is_logged_to_the_new_file() {
    let stage = Stage::with(Gateway::builder().set("server.drain", "60s")).await;
    let (content, gate) = (Content::new(4, 1024 * 1024), Gate::new());
    let script = Script::ok_in_halves(FRESH, &content.bytes(), 1000, &gate);
    stage.origin.on("/slow", script);
    let url = stage.origin.url("/slow");
    let (client, body) = reading(&stage, "/slow", 1000).await;
    let (stage, mut old) = stage.upgraded().await;
    rotate(&old).await;
    old.expect_log("not reloaded: this process is about to end");
    old.signal(Signal::HUP);
    let is_refusal = |line: &str| line.contains("not reloaded");
    let refusal = old.stderr().wait_for("a refusal", is_refusal).await;
    refusal.expect("it goes on");
    gate.open();
    read_rest(client, body, &content).await;
    let home = old.home();
    old.ends_well().await;
    let lines = home.access_log();
    assert!(lines.iter().any(|line| line.contains(&url)), "{lines:?}");
    stage.finish().await;
}
