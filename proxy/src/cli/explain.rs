//! `weir explain`: the question and its answer as text.

use super::table::Table;
use super::{Exit, Place, caller, print};
use crate::control::protocol::{AskedForm, Command, Question};
use crate::control::shown::{Conflict, Entry, Explanation, LastResponse, Rule};
use clap::Args;

/// Options of `weir explain`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The URL, or a path as clients ask the gateway for it
    url: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// How a client asks for the URL
    #[arg(long, value_enum, default_value_t)]
    form: AskedForm,
    /// A field of the request; may be repeated
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = parse_field)]
    headers: Vec<(String, String)>,
    #[command(flatten)]
    place: Place,
}

impl Arguments {
    pub(crate) fn run(self) -> Exit {
        match self.text() {
            Ok(text) => print(&text),
            Err(exit) => exit,
        }
    }

    fn text(self) -> Result<String, Exit> {
        let command = Command::Explain(Question {
            url: self.url,
            form: self.form,
            headers: self.headers,
        });
        let explanation: Explanation = caller::ask(&self.place, &command)?;
        if self.json {
            caller::json(&explanation)
        } else {
            Ok(text(&explanation))
        }
    }
}

fn parse_field(written: &str) -> Result<(String, String), &'static str> {
    let (name, value) = written
        .split_once(':')
        .ok_or("a field is written NAME: VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn text(explanation: &Explanation) -> String {
    let mut table = Table::default();
    request(&mut table, explanation);
    rule(&mut table, &explanation.rule);
    if let Some(last) = &explanation.last_response {
        last_response(&mut table, last);
    }
    for held in &explanation.entries {
        table.gap();
        entry(&mut table, held);
    }
    for found in &explanation.conflicts {
        table.gap();
        conflict(&mut table, found);
    }
    table.into_text()
}

fn request(table: &mut Table, explanation: &Explanation) {
    table.line("url", &explanation.url);
    table.line("target", &explanation.target);
    if explanation.upstreams.len() != 1
        || explanation.upstreams.first() != Some(&explanation.target)
    {
        for upstream in &explanation.upstreams {
            table.line("upstream", upstream);
        }
    }
    table.line("form", &explanation.form);
    let decision = match explanation.decision.as_str() {
        "shared" => "from the cache, or one fetch for all who ask",
        "alone" => "from the cache, or a fetch for this client alone",
        "pass" => "handed through",
        "refuse" => "refused",
        other => other,
    };
    let reason = explanation.reason.as_deref();
    let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
    table.line("decision", &format!("{decision}{reason}"));
    table.line(
        "redirects",
        if explanation.follows_redirects {
            "followed for the client"
        } else {
            "handed to the client"
        },
    );
}

fn rule(table: &mut Table, rule: &Rule) {
    let name = rule.name.as_deref();
    table.line("rule", name.unwrap_or("none: the standard (RFC 9111)"));
    if rule.cache_proxy {
        table.line("  with", "[cache_proxy] over it");
    }
    for effect in &rule.effects {
        table.line("  effect", effect);
    }
    for waiting in &rule.waiting {
        let condition = "if its conditions on the response hold (size, media type)";
        table.line("  instead", &format!("{waiting}, {condition}"));
    }
}

/// Why what is here is here, or why nothing is.
fn last_response(table: &mut Table, last: &LastResponse) {
    let status = last
        .status
        .map_or(String::new(), |status| format!("{status}, "));
    let (seconds, words) = (last.age_seconds, &last.words);
    table.line("last answer", &format!("{seconds} s ago, {status}{words}"));
}

fn entry(table: &mut Table, entry: &Entry) {
    table.line(&entry.entry, &format!("key {}", entry.key));
    if entry.objects.is_empty() {
        table.line("  nothing", "stored");
    }
    for object in &entry.objects {
        table.object("  object", object);
    }
}

/// What contradicts what, and how to decide it.
pub(super) fn conflict(table: &mut Table, conflict: &Conflict) {
    let entry = &conflict.entry;
    table.line("conflict", &format!("{entry}, key {}", conflict.key));
    match &conflict.original {
        Some(original) => table.object("  original", original),
        None => table.line("  original", "gone"),
    }
    table.object("  changed", &conflict.changed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_needs_its_colon() {
        let field = |name: &str, value: &str| Ok((name.to_owned(), value.to_owned()));
        assert_eq!(parse_field("Accept: */*"), field("Accept", "*/*"));
        assert_eq!(parse_field("X:a:b"), field("X", "a:b"));
        assert!(parse_field("Accept").is_err());
    }
    #[test]
    fn rules_that_wait_for_the_response_are_mentioned() {
        let mut table = Table::default();
        let waiting = Rule {
            name: None,
            effects: Vec::new(),
            waiting: vec!["large".to_owned()],
            cache_proxy: false,
        };
        rule(&mut table, &waiting);
        let text = table.into_text();
        assert!(text.contains("none: the standard"), "{text}");
        assert!(text.contains("large, if its conditions"), "{text}");
    }
}
