//! Counts what transfers came to, and writes it as one line of JSON.

use std::time::Duration;

use crate::transfer::Done;

/// Sums over all transfers.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    bytes: u64,
    failures: u64,
    first_failure: Option<String>,
    first_bytes: Vec<Duration>,
}

impl Tally {
    /// Counts one transfer.
    pub(crate) fn add(&mut self, outcome: Result<Done, String>) {
        match outcome {
            Ok(done) => {
                self.bytes += done.bytes;
                self.first_bytes.push(done.first_byte);
            }
            Err(failure) => {
                self.failures += 1;
                self.first_failure.get_or_insert(failure);
            }
        }
    }

    /// The line. Times are seconds; `first_byte_*` counts from the start of connecting, or from the request on a
    /// connection that was open, to the first byte of the response.
    pub(crate) fn into_json(mut self, elapsed: Duration) -> String {
        self.first_bytes.sort_unstable();
        format!(
            "{{\"transfers\": {}, \"bytes\": {}, \"failures\": {}, \"first_failure\": {}, \"seconds\": {:.6}, \
             \"first_byte_p50_seconds\": {:.6}, \"first_byte_p99_seconds\": {:.6}}}",
            self.first_bytes.len(),
            self.bytes,
            self.failures,
            quoted(self.first_failure.as_deref().unwrap_or_default()),
            elapsed.as_secs_f64(),
            self.percentile(50).as_secs_f64(),
            self.percentile(99).as_secs_f64(),
        )
    }

    /// The smallest of the sorted times that this share of them does not exceed; zero when there are none.
    fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.first_bytes.len() * percent).div_ceil(100);
        let at = rank.saturating_sub(1);
        self.first_bytes.get(at).copied().unwrap_or_default()
    }
}

/// A JSON string; what would need an escape is replaced, the text is for reading only.
fn quoted(text: &str) -> String {
    let plain = text.replace(['"', '\\'], "'");
    format!(
        "\"{}\"",
        plain.replace(|letter: char| letter.is_control(), " ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(first_byte_ms: u64) -> Done {
        Done {
            bytes: 10,
            first_byte: Duration::from_millis(first_byte_ms),
            may_be_reused: true,
        }
    }

    #[test]
    fn percentiles_are_of_what_succeeded() {
        let mut tally = Tally::default();
        for first_byte_ms in (1..=100).rev() {
            tally.add(Ok(done(first_byte_ms)));
        }
        tally.add(Err("it said \"no\"".to_owned()));
        let line = tally.into_json(Duration::from_secs(2));
        for part in [
            "\"transfers\": 100,",
            "\"bytes\": 1000,",
            "\"failures\": 1,",
            "\"first_failure\": \"it said 'no'\"",
            "\"first_byte_p50_seconds\": 0.050000",
            "\"first_byte_p99_seconds\": 0.099000",
        ] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
    }

    #[test]
    fn nothing_done_is_still_a_line() {
        let line = Tally::default().into_json(Duration::ZERO);
        assert!(line.contains("\"transfers\": 0"), "{line}");
    }
}
