//! The socket itself: where it is, who may use it, and what happens to it.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;

use weir_tests::{Gateway, Program};

const EXPLAIN: [&str; 2] = ["explain", "http://host/x"];

#[tokio::test]
async fn the_socket_is_for_its_owner_and_goes_with_the_gateway() {
    let gateway = Gateway::start().await;
    let path = gateway.home().data().join("control.sock");
    let found = std::fs::symlink_metadata(&path).expect("it is there");
    assert!(found.file_type().is_socket());
    assert_eq!(found.mode() & 0o7777, 0o600);
    gateway.finish().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn without_a_gateway_a_command_says_so() {
    let home = Gateway::builder().home();
    let run = home.weir(EXPLAIN).await;
    run.assert_code(1);
    assert!(run.stderr.contains("no gateway runs"), "{}", run.stderr);
    let folder = home.data().display().to_string();
    assert!(run.stderr.contains(&folder), "{}", run.stderr);
}

#[tokio::test]
async fn after_a_kill_the_dead_socket_is_told_apart_and_replaced() {
    let gateway = Gateway::start().await;
    gateway.ready().await;
    let home = gateway.kill().await;
    assert!(home.data().join("control.sock").exists());
    let run = home.weir(EXPLAIN).await;
    run.assert_code(1);
    assert!(run.stderr.contains("no gateway runs"), "{}", run.stderr);
    let gateway = home.start().await;
    gateway.weir(EXPLAIN).await.assert_code(0);
    gateway.finish().await;
}

#[tokio::test]
async fn a_second_gateway_cannot_take_the_socket() {
    let gateway = Gateway::start().await;
    let inode = || {
        let path = gateway.home().data().join("control.sock");
        std::fs::symlink_metadata(path).expect("it is there").ino()
    };
    let before = inode();
    let second = gateway.home().start_in_vain().await;
    second.assert_code(1);
    assert!(second.stderr.contains("in use"), "{}", second.stderr);
    assert_eq!(inode(), before);
    gateway.weir(EXPLAIN).await.assert_code(0);
    gateway.finish().await;
}

#[tokio::test]
async fn a_data_folder_with_a_long_path_is_reached() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("a".repeat(100)).join("b".repeat(100));
    std::fs::create_dir_all(&data).expect("creates");
    let gateway = Gateway::builder().data(&data).start().await;
    gateway.weir(EXPLAIN).await.assert_code(0);
    gateway.finish().await;
}

#[tokio::test]
async fn the_configuration_alone_names_the_gateway() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let disks = vec![data.display().to_string()];
    let builder = Gateway::builder().set("store.disks", disks).data(&data);
    let gateway = builder.start().await;
    let program = Program::new(weir_tests::gateway::builder::binary()).args(EXPLAIN);
    let config = gateway.home().config_file().display().to_string();
    program
        .env("WEIR_CONFIG", &config)
        .run()
        .await
        .assert_code(0);
    gateway.finish().await;
}

#[tokio::test]
async fn more_connections_than_the_bound_are_turned_away_and_harm_nobody() {
    let mut gateway = Gateway::start().await;
    gateway.expect_log("too many commands at once");
    let path = gateway.home().data().join("control.sock");
    let idle: Vec<UnixStream> = (0..96)
        .map(|_| UnixStream::connect(&path).expect("connects"))
        .collect();
    let run = gateway.weir(EXPLAIN).await;
    assert!(run.assert_code(1).stderr.contains("busy"), "{}", run.stderr);
    drop(idle);
    weir_tests::deadline::until("a command is served", async || {
        gateway.weir(EXPLAIN).await.code == Some(0)
    })
    .await;
    gateway.finish().await;
}
