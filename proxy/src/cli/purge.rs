//! `weir purge`: what is stored goes, or is asked about before its next use.

use super::caller::{self, Caller};
use super::list::{Style, write_out};
use super::quantity::size;
use super::table::harmless;
use super::{Exit, Place, unwritten};
use crate::control::protocol::{Command, Filter, Listing, Purging, Scope, ScopeKind, Then};
use crate::control::shown::{Purged, WouldPurge};
use clap::Args;
use std::ops::ControlFlow;

/// Options of `weir purge`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    /// URLs, or paths as clients ask the gateway for them; with a * at the end everything that begins so
    #[arg(value_name = "WHAT", required = true)]
    what: Vec<String>,
    /// WHAT is the beginning of URLs, host included, without a * at its end
    #[arg(long, conflicts_with = "tag")]
    prefix: bool,
    /// WHAT is a tag: purge what came with it in Surrogate-Key or Cache-Tag
    #[arg(long)]
    tag: bool,
    /// Remove nothing: have the upstream asked before the next use
    #[arg(long)]
    soft: bool,
    /// Change nothing: say how much it would concern
    #[arg(long, conflicts_with = "soft")]
    dry_run: bool,
    /// Name each object that it would concern
    #[arg(long, requires = "dry_run")]
    list: bool,
    /// Print a line of JSON for each WHAT, and with --list for each object before it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

const AFTER_HELP: &str = "\
A purge holds from the moment it is reported, also over a crash: nothing that was asked of an upstream before is served \
again, every variant, what was found behind redirects, imported and pinned objects included. Running downloads get their \
bytes to the end; nobody joins them and they are not stored. The objects of a URL are removed at once; those of a prefix or \
a tag as they are asked for, and in the background. --soft keeps the bytes for an upstream that says that they still hold, \
or that fails; imported objects are exempt. A dry run of a prefix or a tag, and --list, look at everything that is stored. \
Exit code 0 also when nothing was stored.";

impl Arguments {
    pub(crate) fn run(self) -> Exit {
        caller::ask_each(&self.place, &self.what, |caller, what| {
            let scope = self.scope(what);
            match (self.dry_run, self.list) {
                (false, _) => self.purge(caller, scope),
                (true, false) => {
                    let would = caller.ask(&Command::WouldPurge(scope))?;
                    self.would(&would)
                }
                (true, true) => self.list(caller, scope, what),
            }
        })
    }

    fn scope(&self, what: &str) -> Scope {
        let (by, text) = match what.strip_suffix('*') {
            _ if self.tag => (ScopeKind::Tag, what),
            Some(prefix) => (ScopeKind::Prefix, prefix),
            None if self.prefix => (ScopeKind::Prefix, what),
            None => (ScopeKind::Url, what),
        };
        let text = text.to_owned();
        Scope { by, text }
    }

    fn purge(&self, caller: &mut Caller, scope: Scope) -> Result<String, String> {
        let then = if self.soft { Then::Ask } else { Then::Remove };
        let purged: Purged = caller.ask(&Command::Purge(Purging { scope, then }))?;
        if self.json {
            caller::json_line(&purged)
        } else {
            Ok(told(&purged) + "\n")
        }
    }

    /// Names them as they are found, and counts them.
    fn list(&self, caller: &mut Caller, scope: Scope, what: &str) -> Result<String, String> {
        let style = if self.json { Style::Json } else { Style::Short };
        let by = match scope.by {
            ScopeKind::Url => "url",
            ScopeKind::Prefix => "prefix",
            ScopeKind::Tag => "tag",
        };
        let listing = Listing {
            filter: Filter::Scope(scope),
            limit: None,
        };
        match caller.ask_listing(listing, |objects| write_out(&objects, style))? {
            ControlFlow::Continue(listed) => self.would(&WouldPurge {
                by: by.to_owned(),
                scope: what.to_owned(),
                objects: listed.objects,
                bytes: listed.bytes,
            }),
            ControlFlow::Break(error) => unwritten(&error).map_or(Ok(String::new()), Err),
        }
    }

    fn would(&self, would: &WouldPurge) -> Result<String, String> {
        if self.json {
            return caller::json_line(would);
        }
        let shown = harmless(&would.scope);
        let (objects, bytes) = (objects(would.objects), size(would.bytes));
        Ok(format!("{shown}: would purge {objects}, {bytes}\n"))
    }
}

/// What a purge came to.
fn told(purged: &Purged) -> String {
    let is_soft = purged.outcome == "stale";
    let done = if is_soft {
        "asked about before the next use"
    } else {
        "removed"
    };
    let mut words = Vec::new();
    if purged.objects > 0 {
        let (objects, bytes) = (objects(purged.objects), size(purged.bytes));
        words.push(format!("{objects}, {bytes}, {done}"));
    }
    match purged.fetches {
        0 => {}
        1 => words.push("1 running fetch is not joined any more and not stored".to_owned()),
        more => words.push(format!(
            "{more} running fetches are not joined any more and not stored"
        )),
    }
    if purged.is_pending && is_soft {
        words.push("what it covers is asked about before its next use".to_owned());
    } else if purged.is_pending {
        words.push(
            "what it covers is not served any more; more is removed in the background".to_owned(),
        );
    }
    if words.is_empty() && is_soft {
        words.push("nothing was stored that its upstream could be asked about".to_owned());
    } else if words.is_empty() {
        words.push("nothing was stored".to_owned());
    }
    format!("{}: {}", harmless(&purged.scope), words.join("; "))
}

fn objects(count: u64) -> String {
    match count {
        1 => "1 object".to_owned(),
        _ => format!("{count} objects"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command as Told};
    use clap::Parser;

    fn arguments(words: &[&str]) -> Option<Arguments> {
        let words = ["weir", "purge"].iter().chain(words);
        match Cli::try_parse_from(words).ok()?.command {
            Told::Purge(arguments) => Some(arguments),
            _ => None,
        }
    }

    #[test]
    fn what_is_meant_is_told_by_a_star_or_an_option() {
        let check = |words: &[&str], by, text: &str| {
            let arguments = arguments(words).unwrap();
            let scope = arguments.scope(arguments.what.first().unwrap());
            assert_eq!((scope.by, scope.text.as_str()), (by, text), "{words:?}");
        };
        check(&["http://h/a"], ScopeKind::Url, "http://h/a");
        check(&["http://h/*/a"], ScopeKind::Url, "http://h/*/a");
        check(&["http://h/a*"], ScopeKind::Prefix, "http://h/a");
        check(&["--prefix", "http://h/a"], ScopeKind::Prefix, "http://h/a");
        check(
            &["http://h/a*", "--prefix"],
            ScopeKind::Prefix,
            "http://h/a",
        );
        check(&["--tag", "v9*"], ScopeKind::Tag, "v9*");
    }

    #[test]
    fn what_makes_no_sense_is_wrong_usage() {
        let check = |words: &[&str]| assert!(arguments(words).is_none(), "{words:?}");
        check(&[]);
        check(&["--prefix", "--tag", "x"]);
        check(&["--list", "http://h/"]);
        check(&["--soft", "--dry-run", "http://h/"]);
    }

    #[test]
    fn what_was_done_is_told() {
        let check = |outcome: &str, objects, fetches, is_pending, expected: &str| {
            let told = told(&Purged {
                by: "url".to_owned(),
                scope: "http://h/".to_owned(),
                outcome: outcome.to_owned(),
                objects,
                bytes: objects * 1024,
                fetches,
                is_pending,
            });
            assert_eq!(told, format!("http://h/: {expected}"));
        };
        check("removed", 1, 0, false, "1 object, 1.0 KiB, removed");
        check("removed", 0, 0, false, "nothing was stored");
        check(
            "stale",
            2,
            0,
            false,
            "2 objects, 2.0 KiB, asked about before the next use",
        );
        check(
            "removed",
            0,
            2,
            true,
            "2 running fetches are not joined any more and not stored; what it covers is not served any more; more is \
             removed in the background",
        );
    }
}
