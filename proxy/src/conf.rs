//! What Weir was told: defaults, overlaid by a file, the environment and the flags.
//!
//! Two stages: [`config`] mirrors what somebody wrote, key by key; [`settings`] holds it checked and built, in the
//! types that the rest of Weir works with. Only the second leaves this room (and [`folder`], for commands). Each section has a file of its own with
//! both of its stages, so that a new key is one place to edit, and a line in `conf/weir.toml`.
//!
//! Reading order: [`config`] → a section, say [`listen`] → [`settings`] → [`layers`] (how the sources meet).
//!
//! Invariants: every problem names where the value was written, its key, the value, and what would be right; all
//! problems are reported together; no input panics. What a reload may change is said in [`written`]. Deliberately
//! absent: includes, and anything that touches what is configured.

mod access;
mod address;
mod cache_proxy;
mod check;
mod config;
mod environment;
mod file;
mod fill;
mod folder;
mod layers;
mod listen;
mod log;
mod mirror;
mod nearest;
mod notify;
mod problem;
mod rule;
mod schema;
mod secret;
mod server;
mod settings;
mod size;
mod span;
mod store;
mod tunnel;
mod upstream;
mod written;

pub(crate) use access::AccessSettings;
pub(crate) use cache_proxy::{CacheProxySettings, SuffixRules};
pub(crate) use fill::OnAbandon;
pub(crate) use folder::data_folders;
pub(crate) use log::{AccessFormat, AccessLog, LogSettings};
pub(crate) use problem::ConfigError;
pub(crate) use secret::Secret;
pub(crate) use settings::Settings;
pub(crate) use written::{Changes, Written};

use layers::{Entry, Layers};
use problem::{KeyPath, Origin, Problem};
use schema::Schema;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use toml::Value;

/// Where a configuration comes from, later ones over earlier ones. Empty: the defaults.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    /// The file, if one was named. None is read unasked.
    pub(crate) file: Option<PathBuf>,
    /// All variables of the environment; those of others are ignored.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// The flags.
    pub(crate) flags: Flags,
}

/// What flags say of the configuration. Empty lists and `None` say nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flags {
    /// `--listen`
    pub(crate) listen: Vec<String>,
    /// `--admin`
    pub(crate) admin: Option<String>,
    /// `--data`
    pub(crate) data: Vec<String>,
}

/// Reads, merges and checks.
///
/// # Errors
/// Everything that is wrong.
pub(crate) fn load(sources: &Sources) -> Result<Settings, ConfigError> {
    let schema = Schema::new();
    let mut layers = Layers::new(&schema);
    if let Some(path) = &sources.file
        && let Err(error) = file::lay(path, &mut layers)
    {
        let problems = error.into_problems().into_iter();
        problems.for_each(|problem| layers.refuse(problem));
    }
    environment::lay(&sources.environment, &mut layers);
    sources.flags.lay(&mut layers);
    let (config, origins, mut problems) = layers.finish()?;
    // The second stage runs even so: whoever mends the one wants to know of the other.
    match Settings::build(&config, &origins) {
        Ok(settings) => ConfigError::unless_empty(problems).map(|()| settings),
        Err(error) => {
            // A key whose value was left out has been named already; the default in its place is not to blame.
            let named: BTreeSet<KeyPath> = problems
                .iter()
                .filter_map(|problem| problem.key.clone())
                .collect();
            let is_new =
                |problem: &Problem| !problem.key.as_ref().is_some_and(|key| named.contains(key));
            problems.extend(error.into_problems().into_iter().filter(is_new));
            Err(ConfigError::of(problems))
        }
    }
}

impl Flags {
    fn lay(&self, layers: &mut Layers<'_>) {
        let list = |items: &[String]| {
            let values = items.iter().cloned().map(Value::String).collect();
            (!items.is_empty()).then_some(Value::Array(values))
        };
        let given = [
            ("--listen", "listen", "proxy", list(&self.listen)),
            (
                "--admin",
                "listen",
                "admin",
                self.admin.clone().map(Value::String),
            ),
            ("--data", "store", "disks", list(&self.data)),
        ];
        for (flag, section, key, value) in given {
            if let Some(value) = value {
                let path = KeyPath {
                    section: section.to_owned(),
                    index: None,
                    key: key.to_owned(),
                };
                layers.lay(Entry {
                    path,
                    value,
                    origin: Origin::Flag(flag),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests;
