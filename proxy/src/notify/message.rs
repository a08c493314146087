//! One message: what a webhook gets as JSON and a mailbox as text.
//!
//! Invariant: nothing in it can break out of its line: control characters are replaced.

use super::digest::{About, Notice};
use serde::Serialize;
use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};
use weir_cache::events::Event;

/// A message, the same for every channel. Serialized it is the body of the webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Message {
    /// Which gateway speaks.
    pub(super) node: String,
    /// Kind of event, or `test`.
    pub(super) kind: &'static str,
    /// The host or disk that it is about.
    pub(super) subject: String,
    /// How many events it stands for.
    pub(super) count: u64,
    /// When the first of them was noticed.
    pub(super) first_unix_seconds: u64,
    /// When the last of them was noticed.
    pub(super) last_unix_seconds: u64,
    /// A sentence.
    pub(super) message: String,
    /// Title and sentence, by the name that chat services read.
    pub(super) text: String,
    /// The last URL, without its query, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
    /// Some of the URLs or files, where it is about several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) examples: Vec<String>,
}

impl Message {
    /// What is said of `notice`.
    pub(super) fn of(node: &str, notice: &Notice) -> Self {
        let event = &notice.event;
        let (subject, message) = match notice.about {
            About::First => (event.subject(), sentence(event)),
            About::Since => (event.subject(), again(notice, "")),
            About::Others => ("others", again(notice, " about other hosts or disks")),
        };
        let base = Self {
            node: node.to_owned(),
            kind: event.kind().as_str(),
            subject: one_line(subject),
            count: notice.count,
            first_unix_seconds: notice.first_unix_seconds,
            last_unix_seconds: notice.last_unix_seconds,
            message: one_line(&message),
            text: String::new(),
            url: url_of(event).map(one_line),
            examples: notice.examples.iter().map(|one| one_line(one)).collect(),
        };
        base.with_text()
    }

    /// What `weir notify test` sends.
    pub(super) fn test(node: &str, now_unix_seconds: u64) -> Self {
        let base = Self {
            node: node.to_owned(),
            kind: "test",
            subject: node.to_owned(),
            count: 1,
            first_unix_seconds: now_unix_seconds,
            last_unix_seconds: now_unix_seconds,
            message: "this is a test: notifications of this gateway arrive".to_owned(),
            text: String::new(),
            url: None,
            examples: Vec::new(),
        };
        base.with_text()
    }

    /// One line, for the subject of a mail.
    pub(super) fn title(&self) -> String {
        format!("[weir {}] {}: {}", self.node, self.kind, self.subject)
    }

    /// The body of a mail.
    pub(super) fn body(&self) -> String {
        let mut body = format!("{}\n\n", self.message);
        let mut line = |name: &str, value: &str| {
            // Writing to a String cannot fail.
            writeln!(body, "{name:<8} {value}").unwrap_or_default();
        };
        line("gateway", &self.node);
        line("kind", self.kind);
        line("about", &self.subject);
        line("events", &self.count.to_string());
        line("first", &date(self.first_unix_seconds));
        line("last", &date(self.last_unix_seconds));
        if let Some(url) = &self.url {
            line("url", url);
        }
        for example in &self.examples {
            line("also", example);
        }
        body
    }

    fn with_text(mut self) -> Self {
        self.text = format!("{}: {}", self.title(), self.message);
        self
    }
}

/// What happened, and what it means.
fn sentence(event: &Event) -> String {
    match event {
        Event::UpstreamFailed { url, error, .. } => {
            format!("no upstream could answer for {url}: {error}")
        }
        Event::Corrupt { disk, object, url } => {
            let whose = url.as_ref().map(|url| format!(" ({url})"));
            let whose = whose.unwrap_or_default();
            format!(
                "damaged bytes on {disk}: {object}{whose}; what is asked for again is fetched anew: check the disk"
            )
        }
        Event::Conflict { url, .. } => format!(
            "the origin has other bytes behind the immutable {url}; the stored ones are served on: see weir conflict show"
        ),
        Event::DiskFull { disk } => {
            format!(
                "{disk} is full: clients are served, but nothing new is stored; make room or lower [store] capacity"
            )
        }
        Event::StoreSuspect { disk } => {
            format!(
                "{disk}: a sync failed; what was stored since may not survive a power loss: check the disk and restart"
            )
        }
        Event::DiskLost { disk, slot, reason } => format!(
            "disk {slot} ({disk}) is out: {reason}; the other disks make up for it: look at it, and if it is gone for \
             good give `weir disks replace {slot} FOLDER` with an empty folder on another device"
        ),
        Event::DiskBack { disk, slot } => format!(
            "disk {slot} ({disk}) is back; what it has missed is being written to it: `weir disks` says how far that is"
        ),
        Event::RebuildDone { disk, slot, shards } => format!(
            "disk {slot} ({disk}) has everything that it should have: {shards} shards were written to it; nothing is to \
             be done"
        ),
    }
}

fn again(notice: &Notice, about: &str) -> String {
    let (count, since) = (notice.count, date(notice.first_unix_seconds));
    let last = sentence(&notice.event);
    format!("and {count} more{about} since {since}, the last one: {last}")
}

/// The URL of an event, or the file where it has none.
pub(super) fn example_of(event: &Event) -> Option<&str> {
    match event {
        Event::Corrupt { object, url, .. } => Some(url.as_deref().unwrap_or(object)),
        _ => url_of(event),
    }
}

fn url_of(event: &Event) -> Option<&str> {
    match event {
        Event::UpstreamFailed { url, .. } | Event::Conflict { url, .. } => Some(url),
        Event::Corrupt { url, .. } => url.as_deref(),
        Event::DiskFull { .. }
        | Event::StoreSuspect { .. }
        | Event::DiskLost { .. }
        | Event::DiskBack { .. }
        | Event::RebuildDone { .. } => None,
    }
}

fn date(unix_seconds: u64) -> String {
    // Later than httpdate can say is as good as never.
    let last = Duration::from_secs(253_402_300_799);
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(unix_seconds).min(last))
}

fn one_line(text: &str) -> String {
    let replace = |letter: char| {
        if letter.is_control() {
            '\u{fffd}'
        } else {
            letter
        }
    };
    text.chars().map(replace).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_cache::store::report::DiskSlot;

    fn notice(event: Event, about: About) -> Notice {
        Notice {
            event,
            about,
            count: 41,
            first_unix_seconds: 0,
            last_unix_seconds: 60,
            examples: Vec::new(),
        }
    }

    fn failed(url: &str) -> Event {
        Event::UpstreamFailed {
            authority: "h:80".to_owned(),
            url: url.to_owned(),
            error: "answered 503".to_owned(),
            chosen_by: weir_cache::events::ChosenBy::Client,
        }
    }

    #[test]
    fn a_summary_counts_and_says_since_when() {
        let message = Message::of("node", &notice(failed("http://h/x"), About::Since));
        assert_eq!(message.title(), "[weir node] upstream-failed: h:80");
        let expected = "and 41 more since Thu, 01 Jan 1970 00:00:00 GMT, the last one: \
                        no upstream could answer for http://h/x: answered 503";
        assert_eq!(message.message, expected);
        assert!(
            message.body().contains("\nevents   41\n"),
            "{}",
            message.body()
        );
    }

    #[test]
    fn json_has_the_documented_keys() {
        let message = Message::of("node", &notice(failed("http://h/x"), About::First));
        let json = serde_json::to_value(&message).unwrap();
        for key in [
            "node",
            "kind",
            "subject",
            "count",
            "first_unix_seconds",
            "last_unix_seconds",
            "message",
            "text",
            "url",
        ] {
            assert!(json.get(key).is_some(), "{key}: {json}");
        }
    }

    #[test]
    fn a_lost_disk_is_named_with_the_command_that_replaces_it() {
        let (disk, slot) = ("/data/c".to_owned(), DiskSlot(2));
        let check = |event: Event, kind: &str, words: &[&str]| {
            let message = Message::of("node", &notice(event, About::First));
            assert_eq!((message.kind, message.subject.as_str()), (kind, "/data/c"));
            for word in words {
                assert!(message.message.contains(word), "{}", message.message);
            }
        };
        let lost = Event::DiskLost {
            disk: disk.clone(),
            slot,
            reason: "Input/output error\nat sector 7".to_owned(),
        };
        let words = [
            "disk 2 (/data/c) is out: Input/output error",
            "`weir disks replace 2 FOLDER`",
        ];
        check(lost, "disk-lost", &words);
        let back = Event::DiskBack {
            disk: disk.clone(),
            slot,
        };
        check(
            back,
            "disk-back",
            &["disk 2 (/data/c) is back", "`weir disks`"],
        );
        let shards = 41_000;
        let done = Event::RebuildDone { disk, slot, shards };
        check(done, "rebuild-done", &["disk 2 (/data/c)", "41000 shards"]);
    }

    #[test]
    fn nothing_breaks_out_of_its_line() {
        let event = Event::DiskFull {
            disk: "/srv\r\nBcc: everybody@example.org".to_owned(),
        };
        let message = Message::of("node", &notice(event, About::First));
        assert!(!message.title().chars().any(char::is_control));
        assert_eq!(message.message.lines().count(), 1);
    }
}
