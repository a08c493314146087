//! The environment as a source: `WEIR__LISTEN__HEAD_TIMEOUT=5s` stands for `[listen] head_timeout = "5s"`.
//!
//! Lists are written with commas or as in the file. `WEIR__…_FILE` names a file that holds the value; that is how
//! secrets are handed to containers, so its content is never shown. Only names with the double underscore are ours:
//! container runtimes set `WEIR_PORT` and its like for any service that is called weir.

use super::file::read_text;
use super::layers::{Entry, Layers};
use super::nearest::nearest;
use super::problem::{KeyPath, Origin, Problem};
use super::schema::{Schema, SectionKind};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use toml::Value;

/// What every variable of the configuration begins with.
const PREFIX: &str = "WEIR__";
/// What the names of variables end with that name a file.
const FILE_SUFFIX: &str = "_FILE";
/// Largest file that is read for a value, bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Reads all of `variables` that are meant for Weir into `layers`; what is wrong with them is noted there.
pub(super) fn lay(variables: &[(OsString, OsString)], layers: &mut Layers<'_>) {
    let names = known_names(layers);
    // Sorted, so that problems are reported in the same order every time.
    let ours: BTreeMap<String, &OsString> = variables
        .iter()
        .filter_map(|(name, value)| Some((name.to_str()?, value)))
        .filter(|(name, _)| name.starts_with(PREFIX))
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    for (variable, value) in &ours {
        let Some(value) = value.to_str() else {
            let origin = Origin::Environment {
                variable: variable.clone(),
            };
            layers.refuse(Problem::general(origin, "not UTF-8 text"));
            continue;
        };
        if let Some(path) = names.get(variable) {
            lay_value(
                path,
                value,
                Origin::Environment {
                    variable: variable.clone(),
                },
                layers,
            );
        } else if let Some((plain, path)) = named_by_file(variable, &names) {
            if ours.contains_key(plain) {
                let origin = Origin::Environment {
                    variable: variable.clone(),
                };
                layers.refuse(Problem::general(
                    origin,
                    format!("{plain} is set as well; set one"),
                ));
            } else {
                lay_file(path, value, variable, layers);
            }
        } else {
            refuse_unknown(variable, &names, layers);
        }
    }
}

/// Each variable with its key. Sections that may be repeated cannot be written as variables.
fn known_names(layers: &Layers<'_>) -> BTreeMap<String, KeyPath> {
    let single = layers
        .schema()
        .keys()
        .filter(|(_, kind, _)| *kind == SectionKind::Single);
    single
        .map(|(section, _, key)| {
            let name = format!("{PREFIX}{section}__{key}").to_ascii_uppercase();
            (
                name,
                KeyPath {
                    section: section.to_owned(),
                    index: None,
                    key: key.to_owned(),
                },
            )
        })
        .collect()
}

/// The variable without its `_FILE`, and its key. A key that itself ends so, like `ca_file`, was found before.
fn named_by_file<'v, 'n>(
    variable: &'v str,
    names: &'n BTreeMap<String, KeyPath>,
) -> Option<(&'v str, &'n KeyPath)> {
    let plain = variable.strip_suffix(FILE_SUFFIX)?;
    Some((plain, names.get(plain)?))
}

fn lay_file(path: &KeyPath, file: &str, variable: &str, layers: &mut Layers<'_>) {
    let origin = Origin::SecretFile {
        variable: variable.to_owned(),
    };
    match read_text(Path::new(file), FILE_BYTES_MAX) {
        // Editors end a file with a line feed that is not part of the value.
        Ok(text) => lay_value(path, text.trim_end_matches(['\r', '\n']), origin, layers),
        Err(reason) => layers.refuse(Problem::general(origin, format!("{file}: {reason}"))),
    }
}

fn lay_value(path: &KeyPath, text: &str, origin: Origin, layers: &mut Layers<'_>) {
    let like = match layers.schema().key(&path.section, &path.key) {
        Ok(like) => like,
        Err(reason) => {
            return layers.refuse(Problem::of_key(origin, path.clone(), reason));
        }
    };
    match parse(text, like) {
        Ok(value) => layers.lay(Entry {
            path: path.clone(),
            value,
            origin,
        }),
        Err(reason) => {
            layers.refuse(Problem::of_value(
                origin,
                path.clone(),
                format!("{text:?}"),
                reason,
            ));
        }
    }
}

/// Reads `text` as the type that `like` has.
fn parse(text: &str, like: &Value) -> Result<Value, &'static str> {
    match like {
        Value::String(_) | Value::Datetime(_) => Ok(Value::String(text.to_owned())),
        Value::Integer(_) => text
            .parse()
            .map(Value::Integer)
            .map_err(|_| "expected a whole number"),
        Value::Float(_) => text
            .parse()
            .map(Value::Float)
            .map_err(|_| "expected a number"),
        Value::Boolean(_) => text
            .parse()
            .map(Value::Boolean)
            .map_err(|_| "expected true or false"),
        Value::Array(like) if like.first().is_some_and(Value::is_integer) => parse_numbers(text),
        Value::Array(_) => parse_list(text),
        Value::Table(_) => Err("cannot be set by the environment"),
    }
}

/// `1, 2` or `[1, 2]`; nothing is the empty list.
fn parse_numbers(text: &str) -> Result<Value, &'static str> {
    let text = text.trim();
    let inside = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let inside = inside.unwrap_or(text).trim();
    if inside.is_empty() {
        return Ok(Value::Array(Vec::new()));
    }
    let numbers = inside.split(',').map(|item| item.trim().parse());
    numbers
        .map(|number| number.map(Value::Integer))
        .collect::<Result<_, _>>()
        .map(Value::Array)
        .map_err(|_| "expected a list of whole numbers, like 443,8443")
}

/// `a, b` or `["a", "b"]`; nothing is the empty list.
///
/// An IPv6 listener begins with the same bracket as a TOML list. What follows tells them apart: a list goes on with
/// a quote or ends.
fn parse_list(text: &str) -> Result<Value, &'static str> {
    let text = text.trim();
    let after_bracket = text.strip_prefix('[').map(str::trim_start);
    if after_bracket.is_some_and(|rest| rest.starts_with(['"', '\'', ']'])) {
        return text
            .parse::<Value>()
            .map_err(|_| "expected a list, like a,b or [\"a\", \"b\"]");
    }
    let items = text.split(',').map(str::trim);
    if text.is_empty() {
        return Ok(Value::Array(Vec::new()));
    }
    Ok(Value::Array(
        items.map(|item| Value::String(item.to_owned())).collect(),
    ))
}

fn refuse_unknown(variable: &str, names: &BTreeMap<String, KeyPath>, layers: &mut Layers<'_>) {
    let origin = Origin::Environment {
        variable: variable.to_owned(),
    };
    let section = variable
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.split("__").next());
    let section = section.unwrap_or_default().to_ascii_lowercase();
    let reason = match layers.schema().section(&section) {
        Ok(known) if known.kind == SectionKind::Repeated => {
            format!("[[{section}]] can only be written in the file")
        }
        Err(reason) if Schema::is_reserved(&section) => format!("[{section}]: {reason}"),
        Ok(_) | Err(_) => match nearest(variable, names.keys().map(String::as_str)) {
            Some(meant) => format!("not a known variable; did you mean {meant}?"),
            None => "not a known variable".to_owned(),
        },
    };
    layers.refuse(Problem::general(origin, reason));
}
