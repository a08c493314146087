//! Which keys there are, what type each one has, and what a mistyped one may have meant.
//!
//! Read off the serialized [`Config`], so that there is no second list of keys to keep up to date.

use super::config::Config;
use super::nearest::nearest;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// All known sections.
#[derive(Debug)]
pub(super) struct Schema {
    sections: BTreeMap<String, SectionSchema>,
}

/// One known section.
#[derive(Debug)]
pub(super) struct SectionSchema {
    /// How it is written.
    pub(super) kind: SectionKind,
    /// Its keys, each with a value of its type.
    keys: Table,
}

/// How a section is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SectionKind {
    /// `[listen]`
    Single,
    /// `[[mirror]]`, as often as wanted
    Repeated,
}

/// Sections that later versions will know, so that nobody believes that they already work.
const RESERVED: [&str; 4] = ["limits", "tls", "parent", "object_store"];

impl Schema {
    /// The keys of [`Config`].
    pub(super) fn new() -> Self {
        // Serializing plain structs into a table cannot fail; if it ever did, every key would be refused as unknown.
        let table = Table::try_from(Config::with_every_key()).unwrap_or_default();
        let sections = table.into_iter().filter_map(|(name, value)| {
            let (kind, keys) = match value {
                Value::Table(keys) => (SectionKind::Single, keys),
                Value::Array(mut elements) => match elements.pop()? {
                    Value::Table(keys) => (SectionKind::Repeated, keys),
                    _ => return None,
                },
                _ => return None,
            };
            Some((name, SectionSchema { kind, keys }))
        });
        Self {
            sections: sections.collect(),
        }
    }

    /// The section of this name.
    ///
    /// # Errors
    /// Why it cannot be used, and which one may be meant.
    pub(super) fn section(&self, name: &str) -> Result<&SectionSchema, String> {
        if Self::is_reserved(name) {
            return Err("this section is not yet available; remove it".to_owned());
        }
        self.sections.get(name).ok_or_else(|| {
            let meant = match nearest(name, self.sections.keys().map(String::as_str)) {
                Some(meant) => self.written(meant),
                None => "another section".to_owned(),
            };
            format!("not a known section; did you mean {meant}?")
        })
    }

    /// Whether a later version will know this section.
    pub(super) fn is_reserved(name: &str) -> bool {
        RESERVED.contains(&name)
    }

    /// A value of the type of this key.
    ///
    /// # Errors
    /// Why it cannot be used, and which one may be meant.
    pub(super) fn key(&self, section: &str, key: &str) -> Result<&Value, String> {
        let known = self.section(section)?;
        known
            .keys
            .get(key)
            .ok_or_else(|| self.unknown_key(known, key))
    }

    /// Every section with every key; for the environment, which has to find the end of a section's name.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&str, SectionKind, &str)> {
        self.sections.iter().flat_map(|(name, section)| {
            section
                .keys
                .keys()
                .map(move |key| (name.as_str(), section.kind, key.as_str()))
        })
    }

    /// The section's name in its brackets.
    pub(super) fn written(&self, section: &str) -> String {
        match self.sections.get(section).map(|known| known.kind) {
            Some(SectionKind::Repeated) => format!("[[{section}]]"),
            Some(SectionKind::Single) | None => format!("[{section}]"),
        }
    }

    fn unknown_key(&self, known: &SectionSchema, key: &str) -> String {
        let elsewhere = self
            .keys()
            .find(|(_, _, name)| *name == key)
            .map(|(section, ..)| section);
        match (
            elsewhere,
            nearest(key, known.keys.keys().map(String::as_str)),
        ) {
            (Some(section), _) => {
                format!(
                    "not a key of this section; it belongs to {}",
                    self.written(section)
                )
            }
            (None, Some(meant)) => format!("not a known key; did you mean {meant}?"),
            (None, None) => "not a known key".to_owned(),
        }
    }
}
