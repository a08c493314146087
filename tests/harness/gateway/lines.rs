//! What a process writes, line by line, as it writes it.

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::watch;

use crate::deadline::within;

/// The lines so far and whether more can come.
#[derive(Default)]
struct Written {
    lines: Vec<String>,
    ended: bool,
}

/// A pipe that is read to its end in the background, so that its writer never blocks.
pub struct Lines {
    written: watch::Receiver<Written>,
}

impl Lines {
    /// Starts reading.
    pub fn follow(pipe: impl AsyncRead + Send + Unpin + 'static) -> Self {
        let (sender, written) = watch::channel(Written::default());
        tokio::spawn(async move {
            let mut reader = BufReader::new(pipe);
            let mut line = Vec::new();
            while reader
                .read_until(b'\n', &mut line)
                .await
                .is_ok_and(|count| count > 0)
            {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                sender.send_modify(|written| written.lines.push(text));
                line.clear();
            }
            sender.send_modify(|written| written.ended = true);
        });
        Self { written }
    }

    /// Everything so far.
    pub fn all(&self) -> Vec<String> {
        self.written.borrow().lines.clone()
    }

    /// Everything, once the writer has closed the pipe.
    pub async fn all_until_end(&self) -> Vec<String> {
        let mut written = self.written.clone();
        within(
            "the end of a pipe",
            written.wait_for(|written| written.ended),
        )
        .await
        .ok();
        self.all()
    }

    /// The line number `number`, counted from 0, among those for which `condition` holds; none when the pipe ended
    /// before.
    pub async fn wait_for_number(
        &self,
        what: &str,
        number: usize,
        condition: impl Fn(&str) -> bool,
    ) -> Option<String> {
        let find = |written: &Written| {
            let mut fitting = written.lines.iter().filter(|line| condition(line));
            fitting.nth(number).cloned()
        };
        let mut written = self.written.clone();
        let seen = written.wait_for(|written| written.ended || find(written).is_some());
        within(what, seen)
            .await
            .ok()
            .and_then(|written| find(&written))
    }

    /// The first line for which `condition` holds; none when the pipe ended without one.
    pub async fn wait_for(&self, what: &str, condition: impl Fn(&str) -> bool) -> Option<String> {
        let find = |written: &Written| written.lines.iter().find(|line| condition(line)).cloned();
        let mut written = self.written.clone();
        let seen = written.wait_for(|written| written.ended || find(written).is_some());
        within(what, seen)
            .await
            .ok()
            .and_then(|written| find(&written))
    }
}

/// Whether a line of the diagnostic log warns or reports an error.
pub fn is_alarm(line: &str) -> bool {
    let mut words = line.split_whitespace().take(3);
    words.any(|word| matches!(word, "WARN" | "ERROR"))
        || line.contains("\"level\":\"WARN\"")
        || line.contains("\"level\":\"ERROR\"")
}

/// A panic is never expected.
///
/// # Panics
/// When there was one.
pub fn assert_no_panic(lines: &[String]) {
    let panics: Vec<&String> = lines
        .iter()
        .filter(|line| line.contains("panicked at"))
        .collect();
    assert!(panics.is_empty(), "the gateway panicked: {panics:#?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_is_found_and_the_end_is_noticed() {
        let lines = Lines::follow(&b"one\ntwo\nthree"[..]);
        assert_eq!(
            lines.wait_for("two", |line| line == "two").await.as_deref(),
            Some("two")
        );
        assert_eq!(lines.wait_for("four", |line| line == "four").await, None);
        assert_eq!(lines.all_until_end().await, ["one", "two", "three"]);
    }

    #[test]
    fn alarms_are_told_from_words_in_messages() {
        assert!(is_alarm(
            "2026-01-01T00:00:00Z  WARN weir::store: disk full"
        ));
        assert!(is_alarm("{\"level\":\"ERROR\"}"));
        assert!(!is_alarm(
            "2026-01-01T00:00:00Z  INFO weir: level is WARN from now on"
        ));
    }
}
