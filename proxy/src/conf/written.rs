//! What was written, kept to be compared with what is written later.
//!
//! Only names of keys leave this file, never values: some are secrets.

use super::config::Config;
use std::collections::BTreeSet;
use toml::{Table, Value};

/// A whole configuration as it was written, its defaults included.
#[derive(Clone)]
pub(crate) struct Written(Table);

/// What two configurations differ in, by the names of keys as messages write them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Keys that a running gateway takes over.
    pub(crate) at_once: Vec<String>,
    /// Keys that only a start takes over.
    pub(crate) at_start: Vec<String>,
}

/// Sections that a running gateway takes over whole. Whatever is not listed waits for a restart, so that a new section
/// is never believed to work before somebody made it.
const RELOADABLE: [&str; 11] = [
    "listen",
    "fill",
    "upstream",
    "access",
    "tunnel",
    "log",
    "notify",
    "cache_proxy",
    "rules",
    "mirror",
    "rule",
];
/// Keys of other sections that it takes over.
const RELOADABLE_KEYS: [(&str, &str); 2] = [("server", "drain"), ("server", "upgrade_drain")];

impl Written {
    pub(super) fn of(config: &Config) -> Self {
        // Serializing plain structs into a table cannot fail.
        Self(Table::try_from(config).unwrap_or_default())
    }

    /// What `next` has otherwise.
    pub(crate) fn changes(&self, next: &Self) -> Changes {
        let mut changes = Changes::default();
        let (Self(before), Self(after)) = (self, next);
        let sections: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        for section in sections {
            match (before.get(section), after.get(section)) {
                (Some(Value::Table(before)), Some(Value::Table(after))) => {
                    changes.note_keys(section, before, after);
                }
                (one, other) if one != other => {
                    let is_reloadable = RELOADABLE.contains(&section.as_str());
                    changes.note(format!("[[{section}]]"), is_reloadable);
                }
                _ => {}
            }
        }
        changes
    }
}

impl Changes {
    fn note_keys(&mut self, section: &str, before: &Table, after: &Table) {
        let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        for key in keys {
            if before.get(key) != after.get(key) {
                let is_reloadable = RELOADABLE.contains(&section)
                    || RELOADABLE_KEYS.contains(&(section, key.as_str()));
                self.note(format!("[{section}] {key}"), is_reloadable);
            }
        }
    }

    fn note(&mut self, name: String, is_reloadable: bool) {
        if is_reloadable {
            self.at_once.push(name);
        } else {
            self.at_start.push(name);
        }
    }
}

impl std::fmt::Debug for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Written").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Written {
        Written::of(&toml::from_str(text).unwrap())
    }

    #[test]
    fn changes_are_named_and_sorted_by_when_they_count() {
        let check = |before: &str, after: &str, at_once: &[&str], at_start: &[&str]| {
            let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            let expected = Changes {
                at_once: owned(at_once),
                at_start: owned(at_start),
            };
            let changes = written(before).changes(&written(after));
            assert_eq!(changes, expected, "{before:?} → {after:?}");
            let back = written(after).changes(&written(before));
            assert_eq!(back, expected, "{after:?} → {before:?}");
        };
        check("", "", &[], &[]);
        check("", "[listen]\nidle_timeout = \"1m\"", &[], &[]);
        let text = "[listen]\nidle_timeout = \"61s\"\n[fill]\nretries = 1";
        check("", text, &["[fill] retries", "[listen] idle_timeout"], &[]);
        let text = "[server]\ndrain = \"1s\"\nname = \"a\"\n[store]\ndurability = \"strict\"";
        check(
            "",
            text,
            &["[server] drain"],
            &["[server] name", "[store] durability"],
        );
        let rule = "[[rule]]\nttl_default = \"1h\"";
        check("", rule, &["[[rule]]"], &[]);
        check(rule, "[[rule]]\nttl_default = \"2h\"", &["[[rule]]"], &[]);
        check(rule, rule, &[], &[]);
    }
}
