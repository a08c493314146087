//! Whatever is wrong, everything stays as it was, and somebody is told why.

use super::reloads;
use crate::stage::Stage;
use tokio::net::TcpListener;
use weir_tests::gateway::builder::binary;
use weir_tests::{Gateway, Program};

#[tokio::test]
async fn a_broken_file_changes_nothing_and_the_next_good_one_counts() {
    let mut stage = Stage::new().await;
    stage.gateway.expect_log("configuration");
    stage.fresh("/x", b"x");
    let home = stage.gateway.home();
    let good = std::fs::read_to_string(home.config_file()).expect("reads");
    home.set("access.allow", vec!["192.0.2.0/24"]);
    home.set("fill.retrys", 3);
    home.set("fnil.retries", 3);
    let line = stage.gateway.reload().await;
    assert!(
        line.contains("ERROR") && line.contains("not reloaded"),
        "{line}"
    );
    let lines = stage.gateway.stderr().all();
    let named = |words: &str| {
        lines.iter().any(|line| {
            line.contains("ERROR") && line.contains("weir.toml:") && line.contains(words)
        })
    };
    assert!(named("retries") && named("fnil"), "{lines:#?}");
    stage.get("/x").await.assert_is(200, b"x");
    let succeeded = "weir_config_last_reload_successful";
    assert_eq!(stage.gateway.metric(succeeded).await, 0.0);
    assert_eq!(stage.gateway.metric(&reloads("refused")).await, 1.0);

    std::fs::write(home.config_file(), good).expect("writes");
    let line = stage.gateway.reload().await;
    assert!(line.contains("nothing has changed"), "{line}");
    home.set("access.allow", vec!["192.0.2.0/24"]);
    let line = stage.gateway.reload().await;
    assert!(line.contains("[access] allow"), "{line}");
    assert_eq!(stage.get("/x").await.status(), 403);
    assert_eq!(stage.gateway.metric(succeeded).await, 1.0);
    stage.finish().await;
}

#[tokio::test]
async fn a_taken_port_refuses_the_whole_reload() {
    let mut stage = Stage::with(Gateway::builder().listening_by_file()).await;
    stage.gateway.expect_log("configuration");
    stage.fresh("/x", b"x");
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let taken = taken.local_addr().map(|address| (taken, address));
    let (_taken, address) = taken.expect("bound");
    let home = stage.gateway.home();
    home.set(
        "listen.proxy",
        vec!["127.0.0.3:0".to_owned(), address.to_string()],
    );
    home.set("access.allow", vec!["192.0.2.0/24"]);
    let line = stage.gateway.reload().await;
    assert!(line.contains("not reloaded"), "{line}");
    let lines = stage.gateway.stderr().all();
    let why = format!("cannot listen on {address}");
    assert!(lines.iter().any(|line| line.contains(&why)), "{lines:#?}");
    let everywhere = format!("0.0.0.0:{}", stage.gateway.proxy().port());
    home.set("listen.proxy", vec![everywhere]);
    stage.gateway.reload().await;
    let lines = stage.gateway.stderr().all();
    let why = format!("this gateway listens on {}", stage.gateway.proxy());
    assert!(lines.iter().any(|line| line.contains(&why)), "{lines:#?}");
    stage.get("/x").await.assert_is(200, b"x");
    stage.finish().await;
}

#[tokio::test]
async fn what_needs_a_restart_refuses_the_whole_reload_by_its_name() {
    let mut stage = Stage::new().await;
    stage.gateway.expect_log("configuration");
    stage.fresh("/x", b"x");
    let home = stage.gateway.home();
    home.set("store.durability", "strict");
    home.set("server.name", "another");
    home.set("access.allow", vec!["192.0.2.0/24"]);
    stage.gateway.reload().await;
    let lines = stage.gateway.stderr().all();
    for key in ["[store] durability", "[server] name"] {
        let is_named = |line: &&String| line.contains(key) && line.contains("restart");
        assert!(lines.iter().find(is_named).is_some(), "{key}: {lines:#?}");
    }
    stage.get("/x").await.assert_is(200, b"x");
    stage.finish().await;
}

#[tokio::test]
async fn the_command_says_how_a_reload_ended() {
    let mut stage = Stage::new().await;
    stage.gateway.expect_log("configuration");
    let home = stage.gateway.home();
    let data = home.data().display().to_string();
    // By the folder alone: the command does not read the file.
    let command = async || {
        let program = Program::new(binary()).args(["reload", "--data", &data]);
        program.run().await
    };
    let run = command().await;
    let file = home.config_file().display().to_string();
    let read = format!("the gateway has read {file}\n");
    let said = run.assert_code(0).text();
    assert_eq!(said, format!("nothing has changed\n{read}"));
    home.set("fill.retries", 1);
    let run = command().await;
    let said = run.assert_code(0).text();
    assert_eq!(said, format!("changed [fill] retries\n{read}"));
    home.set("store.durability", "strict");
    home.set("fill.retries", 2);
    let run = command().await;
    let said = &run.assert_code(1).stderr;
    assert!(said.contains("[store] durability"), "{said}");
    stage.finish().await;
}

#[tokio::test]
async fn a_broken_file_keeps_no_command_from_the_gateway_and_a_reload_is_refused_by_it() {
    let data = tempfile::tempdir().expect("a folder");
    let folder = data.path().join("data");
    let disks = vec![folder.display().to_string()];
    let builder = Gateway::builder().set("store.disks", disks).data(&folder);
    let mut stage = Stage::with(builder).await;
    stage.gateway.expect_log("configuration");
    let home = stage.gateway.home();
    home.set("fill.retrys", 3);
    home.set("fnil.retries", 3);
    let config = home.config_file().display().to_string();
    // By the file alone: the folder is written in it.
    let command = async |words: &[&str]| {
        let program = Program::new(binary()).args(words.iter().copied());
        program.args(["--config", &config]).run().await
    };
    for words in [&["stat"][..], &["explain", "http://host/x"], &["ls"]] {
        command(words).await.assert_code(0);
    }
    let run = command(&["reload"]).await;
    let lines: Vec<&str> = run.assert_code(1).stderr.lines().collect();
    for words in ["retrys", "fnil"] {
        let is_named = |line: &&&str| line.contains("weir.toml:") && line.contains(words);
        assert!(lines.iter().find(is_named).is_some(), "{lines:#?}");
    }
    assert!(
        lines.iter().all(|line| line.starts_with("weir: ")),
        "{lines:#?}"
    );
    assert_eq!(stage.gateway.metric(&reloads("refused")).await, 1.0);
    std::fs::write(home.config_file(), "[store]\ndisks\n").expect("writes");
    let run = command(&["stat"]).await;
    let said = &run.assert_code(78).stderr;
    assert!(
        said.contains("weir.toml:2: ") && said.contains("--data"),
        "{said}"
    );
    let run = stage.gateway.weir(["stat"]).await;
    run.assert_code(0);
    stage.finish().await;
}
