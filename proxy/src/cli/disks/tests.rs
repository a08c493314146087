//! What is understood as a command about disks, and what is refused before a gateway is asked.

use super::*;
use crate::cli::{Cli, Command as Told};
use clap::Parser;

fn arguments(words: &[&str]) -> Option<Arguments> {
    let words = ["weir", "disks"].iter().chain(words);
    match Cli::try_parse_from(words).ok()?.command {
        Told::Disks(arguments) => Some(arguments),
        _ => None,
    }
}

#[test]
fn commands_about_disks_are_understood() {
    let shown = arguments(&["--json", "--data", "d"]).unwrap();
    assert!(shown.json && shown.action.is_none());
    let Some(Action::Replace {
        disk, empty, wait, ..
    }) = arguments(&["replace", "2", "/new", "--wait"])
        .unwrap()
        .action
    else {
        panic!("not a replacement")
    };
    assert_eq!(
        (disk.slot, empty.folder.as_path(), wait),
        (2, Path::new("/new"), true)
    );
    let added = arguments(&["add", "new", "--data", "d"]).unwrap().action;
    assert!(matches!(added, Some(Action::Add { .. })));
    let retired = arguments(&["retire", "63"]).unwrap().action;
    assert!(matches!(retired, Some(Action::Retire { wait: false, .. })));
    let accepted = arguments(&["accept", "--yes"]).unwrap().action;
    assert!(matches!(accepted, Some(Action::Accept { yes: true, .. })));
}

#[test]
fn what_makes_no_sense_is_wrong_usage() {
    let check = |words: &[&str]| assert!(arguments(words).is_none(), "{words:?}");
    check(&["replace"]);
    check(&["replace", "2"]);
    check(&["replace", "64", "/new"]);
    check(&["replace", "-1", "/new"]);
    check(&["replace", "c", "/new"]);
    check(&["retire"]);
    check(&["add"]);
    check(&["add", "/a", "/b"]);
    check(&["accept", "3"]);
    check(&["--json", "retire", "3"]);
    check(&["format"]);
}

#[test]
fn a_folder_is_named_from_the_root() {
    assert_eq!(
        absolute(Path::new("/data/./new")),
        Ok("/data/new".to_owned())
    );
    let here = std::env::current_dir().unwrap().display().to_string();
    assert_eq!(absolute(Path::new("new")), Ok(format!("{here}/new")));
    assert_eq!(absolute(Path::new("")), Err(Exit::Failed));
}

#[cfg(unix)]
#[test]
fn a_folder_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let folder = Path::new(std::ffi::OsStr::from_bytes(b"/\xff"));
    assert_eq!(absolute(folder), Err(Exit::Failed));
}

#[test]
fn without_a_gateway_nothing_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent").display().to_string();
    let check = |words: &[&str]| {
        let words = [words, &["--data", &absent]].concat();
        assert_eq!(arguments(&words).unwrap().run(), Exit::Failed, "{words:?}");
    };
    check(&[]);
    check(&["--json"]);
    check(&["replace", "0", "/new", "--wait"]);
    check(&["add", "/new"]);
    check(&["retire", "0", "--wait"]);
    check(&["accept", "--yes"]);
}
