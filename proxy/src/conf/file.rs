//! The file as a source: TOML, split into one entry for each key, each with its line.

use super::layers::{Entry, Layers};
use super::problem::{ConfigError, KeyPath, Origin, Problem};
use super::schema::SectionKind;
use serde::Deserialize;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// Largest file that is read, bytes: thousands of mirrors and rules fit.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Reads the file at `path` into `layers`; what is wrong in it is noted there.
///
/// # Errors
/// Why nothing of it could be read: it may have said anything.
pub(super) fn lay(path: &Path, layers: &mut Layers<'_>) -> Result<(), ConfigError> {
    let text = read_text(path, FILE_BYTES_MAX).map_err(|reason| {
        let origin = Origin::File {
            path: path.to_owned(),
            line: None,
        };
        ConfigError::of(vec![Problem::general(origin, reason)])
    })?;
    let reader = Reader {
        path,
        text: &text,
        layers,
    };
    reader.read()
}

/// Reads a whole text file of at most `bytes_max` bytes.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read_text(path: &Path, bytes_max: u64) -> Result<String, String> {
    let mut content = Vec::new();
    File::open(path)
        .and_then(|file| file.take(bytes_max + 1).read_to_end(&mut content))
        .map_err(|error| format!("cannot be read: {error}"))?;
    if content.len() as u64 > bytes_max {
        return Err(format!(
            "larger than {bytes_max} bytes; is it the right file?"
        ));
    }
    String::from_utf8(content).map_err(|_| "not UTF-8 text; is it the right file?".to_owned())
}

/// The file being read.
struct Reader<'r, 'l> {
    path: &'r Path,
    text: &'r str,
    layers: &'r mut Layers<'l>,
}

impl Reader<'_, '_> {
    fn read(mut self) -> Result<(), ConfigError> {
        let document = match DeTable::parse(self.text) {
            Ok(document) => document.into_inner(),
            Err(error) => {
                let origin = self.origin(error.span().map_or(0, |span| span.start));
                let reason = format!("not TOML: {}", error.message());
                return Err(ConfigError::of(vec![Problem::general(origin, reason)]));
            }
        };
        for (name, content) in document {
            let start = name.span().start;
            self.read_section(name.get_ref(), start, content.into_inner());
        }
        Ok(())
    }

    fn read_section(&mut self, name: &str, start: usize, content: DeValue<'_>) {
        let kind = match self.layers.schema().section(name) {
            Ok(section) => section.kind,
            Err(reason) => {
                let brackets = match content {
                    DeValue::Table(_) => format!("[{name}]"),
                    DeValue::Array(_) => format!("[[{name}]]"),
                    _ => return self.refuse_loose_key(name, start, &reason),
                };
                return self.refuse(start, format!("{brackets}: {reason}"));
            }
        };
        match (kind, content) {
            (SectionKind::Single, DeValue::Table(keys)) => self.read_keys(name, None, keys),
            (SectionKind::Single, _) => {
                self.refuse(
                    start,
                    format!("{name} is a section; write [{name}], and only once"),
                );
            }
            (SectionKind::Repeated, DeValue::Array(elements)) => {
                for (index, element) in elements.into_iter().enumerate() {
                    self.read_element(name, index, element);
                }
            }
            (SectionKind::Repeated, _) => {
                self.refuse(
                    start,
                    format!("write [[{name}]] with two brackets: there may be several"),
                );
            }
        }
    }

    fn read_element(&mut self, name: &str, index: usize, element: Spanned<DeValue<'_>>) {
        let origin = self.origin(element.span().start);
        match element.into_inner() {
            DeValue::Table(keys) => {
                self.layers.open_element(name, index, origin);
                self.read_keys(name, Some(index), keys);
            }
            _ => {
                let reason = format!("{name} is a list of sections; write [[{name}]]");
                self.layers.refuse(Problem::general(origin, reason));
            }
        }
    }

    fn read_keys(&mut self, section: &str, index: Option<usize>, keys: DeTable<'_>) {
        for (key, value) in keys {
            let origin = self.origin(key.span().start);
            let path = KeyPath {
                section: section.to_owned(),
                index,
                key: key.get_ref().clone().into_owned(),
            };
            match toml::Value::deserialize(ValueDeserializer::from(value)) {
                Ok(value) => self.layers.lay(Entry {
                    path,
                    value,
                    origin,
                }),
                // A number that fits no machine type, for one.
                Err(error) => {
                    let reason = format!("not a usable value: {}", error.message());
                    self.layers.refuse(Problem::of_key(origin, path, reason));
                }
            }
        }
    }

    /// A key above the first section, where no key belongs.
    fn refuse_loose_key(&mut self, key: &str, start: usize, reason: &str) {
        let schema = self.layers.schema();
        let reason = match schema.keys().find(|(_, _, known)| *known == key) {
            Some((section, ..)) => format!("it belongs below {}", schema.written(section)),
            None => reason.to_owned(),
        };
        self.refuse(
            start,
            format!("{key}: stands outside of any section; {reason}"),
        );
    }

    fn refuse(&mut self, start: usize, reason: String) {
        let origin = self.origin(start);
        self.layers.refuse(Problem::general(origin, reason));
    }

    /// The line of the byte at `offset`.
    fn origin(&self, offset: usize) -> Origin {
        let before = self.text.as_bytes().iter().take(offset);
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        Origin::File {
            path: self.path.to_owned(),
            line: Some(line),
        }
    }
}
