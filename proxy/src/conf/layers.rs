//! Lays the sources over each other: defaults < file < environment < flags. A later value replaces an earlier one
//! whole, lists included.
//!
//! Each value is checked for its name and type by itself, so that every wrong one is reported and none hides another.
//! Where each value came from is remembered for the second stage.

use super::config::Config;
use super::problem::{ConfigError, KeyPath, Origin, Problem};
use super::schema::Schema;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// One value as a source gave it.
#[derive(Debug)]
pub(super) struct Entry {
    /// For which key.
    pub(super) path: KeyPath,
    /// The value.
    pub(super) value: Value,
    /// Where it was written.
    pub(super) origin: Origin,
}

/// Where every value came from.
#[derive(Debug, Default)]
pub(super) struct Origins {
    keys: BTreeMap<KeyPath, Origin>,
    /// Sections that may be repeated, by name and number.
    elements: BTreeMap<(String, usize), Origin>,
}

/// The sources so far.
#[derive(Debug)]
pub(super) struct Layers<'a> {
    schema: &'a Schema,
    single: BTreeMap<String, Table>,
    repeated: BTreeMap<String, BTreeMap<usize, Table>>,
    origins: Origins,
    problems: Vec<Problem>,
}

impl Origins {
    /// Where the value of `path` was written; where it was not, the section that it is missing from.
    pub(super) fn of(&self, path: &KeyPath) -> Origin {
        let element = || {
            let index = path.index?;
            self.elements.get(&(path.section.clone(), index))
        };
        self.keys
            .get(path)
            .or_else(element)
            .cloned()
            .unwrap_or(Origin::Default)
    }
}

impl<'a> Layers<'a> {
    /// Only the defaults.
    pub(super) fn new(schema: &'a Schema) -> Self {
        Self {
            schema,
            single: BTreeMap::new(),
            repeated: BTreeMap::new(),
            origins: Origins::default(),
            problems: Vec::new(),
        }
    }

    /// The known keys.
    pub(super) fn schema(&self) -> &'a Schema {
        self.schema
    }

    /// Notes what a source found wrong by itself.
    pub(super) fn refuse(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Notes that the section `[[section]]` number `index` exists, if without any key.
    pub(super) fn open_element(&mut self, section: &str, index: usize, origin: Origin) {
        self.origins
            .elements
            .insert((section.to_owned(), index), origin);
        self.repeated
            .entry(section.to_owned())
            .or_default()
            .entry(index)
            .or_default();
    }

    /// Lays one value over what is there, or notes what is wrong with it.
    pub(super) fn lay(&mut self, entry: Entry) {
        let Entry {
            path,
            value,
            origin,
        } = entry;
        if let Err(reason) = self.schema.key(&path.section, &path.key) {
            return self.refuse(Problem::of_key(origin, path, reason));
        }
        if let Err(reason) = check_type(&path, &value) {
            let reason = match origin {
                // Serde's messages repeat the value.
                _ if path.is_secret() => "not a value that this key can have".to_owned(),
                Origin::SecretFile { .. } => "not a value that this key can have".to_owned(),
                Origin::Default
                | Origin::File { .. }
                | Origin::Environment { .. }
                | Origin::Flag(_) => reason,
            };
            return self.refuse(Problem::of_value(origin, path, value, reason));
        }
        let section = match path.index {
            Some(index) => self
                .repeated
                .entry(path.section.clone())
                .or_default()
                .entry(index)
                .or_default(),
            None => self.single.entry(path.section.clone()).or_default(),
        };
        section.insert(path.key.clone(), value);
        self.origins.keys.insert(path, origin);
    }

    /// The merged configuration and what was found wrong on the way. Wrong values are left out of it.
    ///
    /// # Errors
    /// What was found wrong, when the rest cannot be read either.
    pub(super) fn finish(mut self) -> Result<(Config, Origins, Vec<Problem>), ConfigError> {
        let single = self
            .single
            .into_iter()
            .map(|(name, keys)| (name, Value::Table(keys)));
        let repeated = self.repeated.into_iter().map(|(name, elements)| {
            (
                name,
                Value::Array(elements.into_values().map(Value::Table).collect()),
            )
        });
        let merged: Table = single.chain(repeated).collect();
        match Config::deserialize(merged) {
            Ok(config) => Ok((config, self.origins, self.problems)),
            // Every value was read by itself before; this is only for what that may have missed.
            Err(error) => {
                self.problems
                    .push(Problem::general(Origin::Default, in_plain_words(&error)));
                Err(ConfigError::of(self.problems))
            }
        }
    }
}

/// Reads a configuration that holds nothing but this value.
fn check_type(path: &KeyPath, value: &Value) -> Result<(), String> {
    let section = Table::from_iter([(path.key.clone(), value.clone())]);
    let section = match path.index {
        None => Value::Table(section),
        Some(_) => Value::Array(vec![Value::Table(section)]),
    };
    let alone = Table::from_iter([(path.section.clone(), section)]);
    Config::deserialize(alone)
        .map(drop)
        .map_err(|error| in_plain_words(&error))
}

/// What serde says of a value, without the names of Rust's types.
fn in_plain_words(error: &toml::de::Error) -> String {
    const WORDS: [(&str, &str); 5] = [
        ("expected u64", "expected a whole number, 0 or more"),
        ("expected f64", "expected a number"),
        ("expected a boolean", "expected true or false"),
        ("expected a string", "expected text in quotes"),
        (
            "expected a sequence",
            "expected a list, like [\"a\", \"b\"]",
        ),
    ];
    let message = error.message();
    let translated = WORDS.iter().find_map(|(rust, plain)| {
        message
            .strip_suffix(rust)
            .map(|start| format!("{start}{plain}"))
    });
    translated.unwrap_or_else(|| message.to_owned())
}
