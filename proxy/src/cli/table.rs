//! Objects as aligned lines, for people. What programs read is `--json`.

use crate::control::shown::StoredObject;

/// Width of the names in front.
const NAME_WIDTH: usize = 12;

/// Lines of a name and a value.
#[derive(Debug, Default)]
pub(super) struct Table {
    text: String,
}

impl Table {
    /// Adds a line.
    pub(super) fn line(&mut self, name: &str, value: &str) {
        let value = harmless(value);
        let line = format!("{name:NAME_WIDTH$} {value}");
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// Adds a line for what there is.
    pub(super) fn line_if(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.line(name, value);
        }
    }

    /// Adds an empty line.
    pub(super) fn gap(&mut self) {
        self.text.push('\n');
    }

    /// Adds all that is known of an object; the first line says what it is to the reader.
    pub(super) fn object(&mut self, name: &str, object: &StoredObject) {
        self.line(name, &headline(object));
        self.line("  freshness", &freshness(object));
        self.line("  stored", &object.stored_at);
        if object.responded_at != object.stored_at {
            self.line("  validated", &object.responded_at);
        }
        self.line_if("  upstream", object.upstream.as_deref());
        for redirect in &object.redirects {
            self.line("  redirect", redirect);
        }
        self.line_if("  etag", object.etag.as_deref());
        self.line_if("  modified", object.last_modified.as_deref());
        self.line_if("  sha256", object.sha256.as_deref());
        self.line_if("  md5", object.md5.as_deref());
        for field in &object.selection {
            let value = field.value.as_deref().unwrap_or("(absent)");
            self.line("  varies on", &format!("{}: {value}", field.name));
        }
        let tags = object.tags.join(" ");
        self.line_if("  tags", (!tags.is_empty()).then_some(tags.as_str()));
        let marks = marks(object);
        self.line_if("  marks", (!marks.is_empty()).then_some(marks.as_str()));
    }

    /// All lines.
    pub(super) fn into_text(self) -> String {
        self.text
    }
}

/// Rows of columns, each as wide as its widest text.
pub(super) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let rows = rows
        .iter()
        .map(|row| row.each_ref().map(|text| harmless(text)));
    let rows: Vec<[String; N]> = rows.collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, text) in widths.iter_mut().zip(row) {
            *width = text.chars().count().max(*width);
        }
    }
    let line = |row: &[String; N]| {
        let padded = row.iter().zip(widths);
        let padded = padded.map(|(text, width)| format!("{text:width$}"));
        let line = padded.collect::<Vec<_>>().join("  ");
        format!("{}\n", line.trim_end())
    };
    rows.iter().map(line).collect()
}

/// One line whatever a URL or a field holds: a terminal must not be told anything by them.
pub(super) fn harmless(value: &str) -> String {
    let shown = |letter: char| {
        if letter.is_control() {
            '\u{fffd}'
        } else {
            letter
        }
    };
    value.chars().map(shown).collect()
}

fn headline(object: &StoredObject) -> String {
    format!(
        "sequence {}  status {}  {} bytes",
        object.sequence, object.status, object.length_bytes
    )
}

fn freshness(object: &StoredObject) -> String {
    let verdict = match object.stale_reason.as_deref() {
        Some(reason) => format!("{} ({reason})", object.verdict),
        None => object.verdict.clone(),
    };
    let age = object.age_seconds;
    let mut words = if object.immutable {
        format!("{verdict}: age {age} s, imported and never expires")
    } else {
        let (lifetime, source) = (object.lifetime_seconds, &object.lifetime_source);
        format!("{verdict}: age {age} s of {lifetime} s by {source}")
    };
    if object.stale_while_revalidate {
        words.push_str(", served while it is revalidated");
    }
    if object.stale_if_error {
        words.push_str(", served when the upstream fails");
    }
    words
}

fn marks(object: &StoredObject) -> String {
    let contradicts = object
        .conflict_of
        .map(|original| format!("contradicts sequence {original}"));
    let marks = [
        object.pinned.then(|| "pinned".to_owned()),
        object.immutable.then(|| "immutable".to_owned()),
        object
            .immutable_by_rule
            .then(|| "immutable by rule".to_owned()),
        object.invalidated.then(|| "invalidated".to_owned()),
        contradicts,
    ];
    let marks: Vec<String> = marks.into_iter().flatten().collect();
    marks.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_shown_controls_a_terminal() {
        let mut table = Table::default();
        table.line("url", "http://h/\u{1b}[2J\nsecond");
        assert_eq!(
            table.into_text(),
            "url          http://h/\u{fffd}[2J\u{fffd}second\n"
        );
    }
}
