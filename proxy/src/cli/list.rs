//! `weir ls`: what a running gateway has stored, as it finds it.
//!
//! Lines are written as pages arrive; a reader that has seen enough (`| head`) ends the walk, which is no failure.

use super::caller::{self, Caller};
use super::quantity::{duration, size};
use super::table::harmless;
use super::{Exit, Place, unwritten, write};
use crate::control::protocol::{Filter, Listing};
use crate::control::shown::ListedObject;
use clap::Args;
use std::io;
use std::ops::ControlFlow;

/// Options of `weir ls`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    /// Only URLs that begin with this; * stands for anything, and then the whole URL must fit
    #[arg(default_value = "", hide_default_value = true)]
    pattern: String,
    /// Print a line of JSON for each object
    #[arg(long)]
    json: bool,
    /// Print more of each object: its sequence, when it was stored and last used, media type, tags
    #[arg(long, conflicts_with = "json")]
    long: bool,
    /// So many objects at most
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    #[command(flatten)]
    place: Place,
}

const AFTER_HELP: &str = "\
A line for each object: size of the body, time since it was stored, what is special about it, URL. Special is what is not a \
plain 200: followed (found behind redirects), conflict, part (a range), pinned, immutable (imported), invalidated (its \
upstream is asked before the next use), other statuses. URLs are in normal form; a path of the gateway, such as \
/download/URL or that of a mirror, stands for what it is kept under. In no order. Everything that is stored is looked at, \
one small read from the disk for each object that is not in use. A reader that takes nothing for a minute is let go.";

/// How objects are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Short,
    Long,
    Json,
}

impl Arguments {
    pub(crate) fn run(self) -> Exit {
        let style = match (self.json, self.long) {
            (true, _) => Style::Json,
            (false, true) => Style::Long,
            (false, false) => Style::Short,
        };
        let listing = Listing {
            filter: Filter::Pattern(self.pattern),
            limit: self.limit,
        };
        let mut caller = match Caller::reach(&self.place) {
            Ok(caller) => caller,
            Err(exit) => return exit,
        };
        match caller.ask_listing(listing, |objects| write_out(&objects, style)) {
            Ok(ControlFlow::Continue(_)) => Exit::Done,
            Ok(ControlFlow::Break(error)) => {
                unwritten(&error).map_or(Exit::Done, |reason| caller::fail(&reason))
            }
            Err(reason) => caller::fail(&reason),
        }
    }
}

/// Writes a page to the standard output; a break when that takes no more.
pub(super) fn write_out(objects: &[ListedObject], style: Style) -> ControlFlow<io::Error> {
    let lines: String = objects.iter().map(|object| line(object, style)).collect();
    match write(&lines) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

fn line(object: &ListedObject, style: Style) -> String {
    match style {
        // Strings and numbers can always be written.
        Style::Json => caller::json_line(object).unwrap_or_default(),
        Style::Short => short(object) + "\n",
        Style::Long => short(object) + &details(object) + "\n",
    }
}

fn short(object: &ListedObject) -> String {
    let (bytes, age) = (size(object.length_bytes), duration(object.age_seconds));
    let (special, url) = (special(object), harmless(&object.url));
    format!("{bytes:>11} {age:>12}  {special:<11} {url}")
}

fn special(object: &ListedObject) -> String {
    let other = |plain: bool, word: String| (!plain).then_some(word);
    let words = [
        other(object.kind == "plain", object.kind.clone()),
        other(object.status == 200, object.status.to_string()),
        object.pinned.then(|| "pinned".to_owned()),
        object.immutable.then(|| "immutable".to_owned()),
        object.invalidated.then(|| "invalidated".to_owned()),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    if words.is_empty() {
        "-".to_owned()
    } else {
        words.join(",")
    }
}

fn details(object: &ListedObject) -> String {
    let (sequence, stored) = (object.sequence, &object.stored_at);
    let unused = duration(object.unused_seconds);
    let media_type = harmless(object.content_type.as_deref().unwrap_or("-"));
    let tags = if object.tags.is_empty() {
        "-".to_owned()
    } else {
        harmless(&object.tags.join(","))
    };
    format!(
        "  sequence {sequence}  stored {stored}  unused {unused}  type {media_type}  tags {tags}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> ListedObject {
        ListedObject {
            url: "http://h/\u{1b}[2J".to_owned(),
            kind: "plain".to_owned(),
            status: 200,
            length_bytes: 10,
            sequence: 7,
            stored_at: "2026-01-01T00:00:00Z".to_owned(),
            age_seconds: 61,
            unused_seconds: 1,
            pinned: false,
            immutable: false,
            invalidated: false,
            tags: vec!["a".to_owned(), "b".to_owned()],
            content_type: None,
        }
    }

    #[test]
    fn a_line_says_what_is_special_and_controls_no_terminal() {
        let usual = line(&object(), Style::Short);
        assert_eq!(
            usual,
            "   10 bytes    1 min 1 s  -           http://h/\u{fffd}[2J\n"
        );
        let special = ListedObject {
            kind: "followed".to_owned(),
            status: 404,
            pinned: true,
            immutable: true,
            invalidated: true,
            ..object()
        };
        let text = line(&special, Style::Short);
        let words = "followed,404,pinned,immutable,invalidated http://";
        assert!(text.contains(words), "{text}");
    }

    #[test]
    fn more_is_said_where_it_is_asked_for() {
        let text = line(&object(), Style::Long);
        assert!(text.contains("sequence 7"), "{text}");
        assert!(text.ends_with("type -  tags a,b\n"), "{text}");
        let json = line(&object(), Style::Json);
        assert_eq!(json.matches('\n').count(), 1, "{json}");
        let read: ListedObject = serde_json::from_str(&json).unwrap();
        assert_eq!(read, object());
    }
}
