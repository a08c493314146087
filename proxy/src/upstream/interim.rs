//! Interim responses (RFC 9110 §15.2), counted and told to whoever waits for the final one.
//!
//! Invariants: at most [`INTERIM_MAX`] for one request; 101 is a broken upstream, because Weir never offers an upgrade;
//! a 100 goes no further, because Weir sends no body that could wait for it; telling never waits.

use http::{HeaderMap, StatusCode};
use tokio::sync::mpsc;
use weir_cache::ports::Interim;
use weir_policies::hop;

/// 1xx responses before the final one; more is a flood.
const INTERIM_MAX: usize = 10;

/// The interim responses to one request.
#[derive(Debug, Default)]
pub(super) struct InterimRelay {
    told: Option<mpsc::Sender<Interim>>,
    count: usize,
}

impl InterimRelay {
    /// Tells `told`, if anybody.
    pub(super) fn new(told: Option<mpsc::Sender<Interim>>) -> Self {
        Self { told, count: 0 }
    }

    /// Whether the upstream has said anything yet.
    pub(super) fn is_silent(&self) -> bool {
        self.count == 0
    }

    /// Counts one and passes it on.
    ///
    /// # Errors
    /// What is wrong with it, in words: 502.
    pub(super) fn pass(
        &mut self,
        status: StatusCode,
        mut headers: HeaderMap,
    ) -> Result<(), &'static str> {
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return Err("101 that nobody asked for");
        }
        self.count += 1;
        if self.count > INTERIM_MAX {
            return Err("more than 10 interim responses");
        }
        if let Some(told) = &self.told
            && status != StatusCode::CONTINUE
        {
            hop::strip(&mut headers);
            // A client that does not take them, or has left, misses nothing that counts.
            drop(told.try_send(Interim { status, headers }));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const EARLY_HINTS: StatusCode = StatusCode::EARLY_HINTS;

    fn hints() -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("link", HeaderValue::from_static("</a>"));
        headers.insert("connection", HeaderValue::from_static("x-hop"));
        headers.insert("x-hop", HeaderValue::from_static("1"));
        headers
    }

    #[test]
    fn hints_are_told_without_what_concerns_the_connection() {
        let (told, mut heard) = mpsc::channel(10);
        let mut relay = InterimRelay::new(Some(told));
        assert!(relay.is_silent());
        relay.pass(StatusCode::CONTINUE, hints()).unwrap();
        relay.pass(EARLY_HINTS, hints()).unwrap();
        assert!(!relay.is_silent());
        let interim = heard.try_recv().unwrap();
        assert_eq!(interim.status, EARLY_HINTS);
        assert_eq!(interim.headers.len(), 1);
        assert!(interim.headers.contains_key("link"));
        assert!(heard.try_recv().is_err(), "a 100 goes no further");
    }

    #[test]
    fn row_114_the_eleventh_is_refused_whoever_listens() {
        let (told, heard) = mpsc::channel(1);
        for told in [None, Some(told)] {
            let mut relay = InterimRelay::new(told);
            for _ in 0..10 {
                relay.pass(EARLY_HINTS, hints()).unwrap();
            }
            assert!(relay.pass(EARLY_HINTS, hints()).is_err());
        }
        assert_eq!(heard.len(), 1, "what does not fit is dropped");
    }

    #[test]
    fn row_129_a_101_is_refused() {
        let mut relay = InterimRelay::default();
        assert!(
            relay
                .pass(StatusCode::SWITCHING_PROTOCOLS, HeaderMap::new())
                .is_err()
        );
    }
}
