//! What a machine cannot do is skipped, never silently.
//!
//! The line goes straight to standard error, because the test runner hides what a passing test
//! prints, and to the file that `tests/run` counts at the end.

use std::io::Write;

/// Says that the calling test did not run on this machine, and why; the caller returns.
pub fn skip(reason: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("SKIPPED {test}: {reason}\n");
    std::io::stderr()
        .write_all(line.as_bytes())
        .expect("standard error is open");
    if let Some(path) = std::env::var_os("WEIR_SKIPS") {
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .expect("the file WEIR_SKIPS names can be written");
        file.write_all(line.as_bytes()).expect("a skip is recorded");
    }
}
