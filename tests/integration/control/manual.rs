//! `weir completions` and `weir man`: what they print is what the shell and man(1) can read.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use weir_tests::gateway::builder::binary;
use weir_tests::{Program, Run, skip::skip};

async fn weir(words: &[&str]) -> Run {
    Program::new(binary()).args(words).run().await
}

/// Whether `sh` finds a program.
async fn has(program: &str) -> bool {
    let found = Program::new("sh").args(["-c", &format!("command -v {program}")]);
    found.run().await.code == Some(0)
}

fn written(folder: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let file = folder.path().join(name);
    std::fs::write(&file, bytes).expect("writes");
    file
}

#[tokio::test]
async fn completions_are_for_shells_and_name_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let run = weir(&["completions", shell]).await;
        let script = run.assert_code(0).text();
        for command in ["serve", "explain", "ensure", "stat", "import", "--parallel"] {
            // fish writes long options without their dashes.
            let command = command.trim_start_matches('-');
            assert!(
                script.contains(command),
                "{command} is not in those of {shell}"
            );
        }
    }
    weir(&["completions", "cobol"]).await.assert_code(2);
}

#[tokio::test]
async fn bash_loads_and_uses_its_completions() {
    if !has("bash").await {
        return skip("there is no bash");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let script = weir(&["completions", "bash"]).await;
    let file = written(&folder, "weir.bash", &script.stdout);
    let run = Program::new("bash").arg("-n").arg(&file).run().await;
    assert_eq!(run.assert_code(0).stderr, "");
    let complete = format!(
        "source '{}'; COMP_WORDS=(weir ens); COMP_CWORD=1; _weir weir ens weir; echo \"${{COMPREPLY[@]}}\"",
        file.display()
    );
    let run = Program::new("bash").args(["-c", &complete]).run().await;
    assert_eq!(run.assert_code(0).text().trim(), "ensure", "{}", run.stderr);
}

async fn assert_formats(page: &Path) {
    let run = Program::new("groff")
        .args(["-man", "-Tascii", "-ww", "-z"])
        .arg(page);
    let run = run.run().await;
    run.assert_code(0);
    assert_eq!(run.stderr, "", "{}", page.display());
}

#[tokio::test]
async fn the_manual_formats_without_a_warning() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = weir(&["man"]).await;
    let text = run.assert_code(0).text();
    assert!(text.contains(".TH") && text.contains("ensure"), "{text}");
    let page = written(&folder, "weir.1", &run.stdout);
    let pages = folder.path().join("pages");
    let shown = pages.display().to_string();
    weir(&["man", "--out", &shown]).await.assert_code(0);
    for name in [
        "weir.1",
        "weir-ensure.1",
        "weir-explain.1",
        "weir-conflict-show.1",
    ] {
        assert!(pages.join(name).exists(), "{name}");
    }
    let ensure = std::fs::read_to_string(pages.join("weir-ensure.1")).expect("reads");
    assert!(ensure.contains("[URL]..."), "{ensure}");
    for page in std::fs::read_dir(&pages).expect("reads").flatten() {
        let text = std::fs::read_to_string(page.path()).expect("reads");
        assert!(!text.contains("help(1)"), "{}", page.path().display());
    }
    if !has("groff").await {
        return skip("there is no groff");
    }
    assert_formats(&page).await;
    for page in std::fs::read_dir(&pages).expect("reads").flatten() {
        assert_formats(&page.path()).await;
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named() {
    let run = weir(&["man", "--out", "/proc/nowhere"]).await;
    assert!(
        run.assert_code(1).stderr.contains("/proc/nowhere"),
        "{}",
        run.stderr
    );
}
