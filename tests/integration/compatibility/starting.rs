//! The folder of the data at the start.

use super::cache_proxy;
use crate::stage::Stage;
use std::path::Path;
use weir_tests::Program;
use weir_tests::gateway::builder::files_below;
use weir_tests::skip::skip;

#[tokio::test]
async fn cp_15_the_folder_is_created_where_it_is_absent() {
    let parent = tempfile::tempdir().expect("a folder");
    let data = parent.path().join("not/yet/there");
    let stage = Stage::with(cache_proxy().data(&data)).await;
    stage.fresh("/f.gz", b"the archive");
    stage.get("/f.gz").await.assert_is(200, b"the archive");
    stage.assert_hit("/f.gz", b"the archive").await;
    assert!(!files_below(&data.join("ec")).is_empty());
    stage.finish().await;
}

/// Checks that a gateway gives up here and names the folder.
async fn gives_up(data: &Path) {
    let run = cache_proxy().data(data).home().start_in_vain().await;
    run.assert_code(1);
    let folder = data.display().to_string();
    assert!(run.stderr.contains(&folder), "{}", run.stderr);
    assert!(run.stderr.contains("cannot"), "{}", run.stderr);
}

#[tokio::test]
async fn cp_15_a_folder_that_cannot_be_created_ends_the_start() {
    let parent = tempfile::tempdir().expect("a folder");
    let file = parent.path().join("file");
    std::fs::write(&file, "not a folder").expect("writes");
    gives_up(&file.join("data")).await;
    gives_up(&file).await;
}

#[tokio::test]
async fn cp_15_a_folder_that_cannot_be_written_ends_the_start() {
    let Some(disk) = ReadOnlyDisk::mount().await else {
        return skip("mounting a read-only file system needs root");
    };
    gives_up(disk.folder.path()).await;
    gives_up(&disk.folder.path().join("data")).await;
}

/// A file system that takes nothing, unmounted when dropped.
struct ReadOnlyDisk {
    folder: tempfile::TempDir,
}

impl ReadOnlyDisk {
    /// Mounts one; none without the privilege to.
    async fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let mount = Program::new("mount").args(["-t", "tmpfs", "-o", "ro", "weir-test"]);
        let run = mount.arg(folder.path()).run().await;
        (run.code == Some(0)).then_some(Self { folder })
    }
}

impl Drop for ReadOnlyDisk {
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount")
            .arg("-l")
            .arg(self.folder.path())
            .status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} is still mounted", self.folder.path().display());
        }
    }
}
