//! A real origin that goes away and comes back: a hit, then stale, then refreshed.

use std::time::Duration;

use weir_tests::deadline::eventually;
use weir_tests::program::Run;
use weir_tests::{Gateway, Nginx, Program};

/// Without a lifetime from nginx: a tenth of what it is old, ten seconds, is guessed.
const PATH: &str = "/file.txt";
const AGE: Duration = Duration::from_secs(100);

struct Site {
    gateway: Gateway,
    nginx: Nginx,
}

impl Site {
    async fn new() -> Self {
        let site = Self {
            gateway: Gateway::start().await,
            nginx: Nginx::start().await,
        };
        site.put(b"the first");
        site
    }

    /// Writes a file that looks as if it had been there for a while.
    fn put(&self, bytes: &[u8]) {
        let path = self.nginx.put(PATH, bytes);
        let file = std::fs::File::options().write(true).open(path);
        let file = file.expect("opens");
        let written = file.metadata().and_then(|data| data.modified());
        let earlier = written.expect("a date") - AGE;
        file.set_modified(earlier).expect("a date");
    }

    /// What curl gets: head and body.
    async fn curl(&self) -> Run {
        let proxy = self.gateway.proxy_url();
        let options = ["-sS", "-f", "-i", "-x", &proxy];
        let program = Program::new("curl").args(options);
        let run = program.arg(self.nginx.url(PATH)).run().await;
        run.assert_code(0);
        run
    }

    /// Asks until the response has these words in its head; returns all of it.
    async fn curl_until(&self, words: &str) -> String {
        let asked = async || {
            let text = self.curl().await.text();
            text.contains(words).then_some(text)
        };
        eventually(words, asked).await
    }

    /// Fetches, hits, loses the origin, and gets the stale one.
    async fn goes_down(&mut self) {
        let miss = self.curl().await.text();
        assert!(miss.to_lowercase().contains("x-cache: miss"), "{miss}");
        self.gateway.settled().await;
        let hit = self.curl().await.text();
        assert!(hit.to_lowercase().contains("x-cache: hit"), "{hit}");
        assert!(!hit.contains("stale"), "{hit}");
        self.nginx.stop().await;
        let stale = self.curl_until("stale-if-error").await;
        assert!(stale.to_lowercase().contains("x-cache: hit"), "{stale}");
        assert!(stale.ends_with("the first"), "{stale}");
    }
}

#[tokio::test]
async fn a_file_that_changed_meanwhile_is_refreshed_when_its_origin_is_back() {
    let mut site = Site::new().await;
    site.goes_down().await;
    site.put(b"the second");
    site.nginx.start_again().await;
    let new = site.curl_until("the second").await;
    assert!(new.to_lowercase().contains("x-cache: miss"), "{new}");
    assert!(new.contains("fwd=stale"), "{new}");
    site.gateway.settled().await;
    let hit = site.curl().await.text();
    assert!(hit.to_lowercase().contains("x-cache: hit"), "{hit}");
    assert!(hit.ends_with("the second"), "{hit}");
    site.gateway.finish_with_warnings().await;
}

#[tokio::test]
async fn a_file_that_did_not_change_is_confirmed_when_its_origin_is_back() {
    let mut site = Site::new().await;
    site.goes_down().await;
    site.nginx.start_again().await;
    let confirmed = site.curl_until("fwd=stale; fwd-status=304").await;
    assert!(
        confirmed.to_lowercase().contains("x-cache: hit"),
        "{confirmed}"
    );
    assert!(confirmed.ends_with("the first"), "{confirmed}");
    let log = site.nginx.access_log();
    assert!(log.last().is_some_and(|line| line.ends_with("304")));
    site.gateway.finish_with_warnings().await;
}
