//! Who is told when something goes wrong: real mails, real posts, few of them, and never at the cost of the gateway.

mod delivering;
mod kinds;
mod trying;

use weir_tests::gateway::Builder;
use weir_tests::origin::Seen;
use weir_tests::{Gateway, MailSink, Origin, Script};

/// A path that nobody but the operator knows.
const HOOK: &str = "/hook/open-sesame";

/// A receiver of posts that is content with everything.
pub(crate) async fn hook() -> Origin {
    let hook = Origin::start().await;
    hook.on(HOOK, Script::status("204 No Content", "", b""));
    hook
}

/// The settings of every test, and posts to `hook`.
pub(crate) fn posting_to(hook: &Origin) -> Builder {
    Gateway::builder()
        .set("fill.retries", 0)
        .set("notify.webhook", hook.url(HOOK))
}

/// And mails to `sink`.
fn mailing_to(sink: &MailSink, builder: Builder) -> Builder {
    builder
        .set("notify.smtp", sink.url())
        .set("notify.mail_from", "Weir <weir@example.org>")
        .set("notify.mail_to", vec!["operator@example.org"])
}

/// Post number `number`, counted from 1, once it is here: its body.
async fn post(hook: &Origin, number: usize) -> String {
    let record = hook
        .wait_for("a post", |record| record.requests.len() >= number)
        .await;
    body(&record.requests[number - 1])
}

pub(crate) fn body(seen: &Seen) -> String {
    String::from_utf8(seen.content()).expect("JSON is text")
}

#[track_caller]
fn assert_says(text: &str, expected: &[&str]) {
    for words in expected {
        assert!(text.contains(words), "{words} is not in {text}");
    }
}
