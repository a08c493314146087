//! `[[rule]]`: named, first match wins. Conditions by form, scheme, host, path glob and extension; the effects that
//! exist so far are `store`, `ttl_default` and `ttl_max`. Globs compile to a linear-time engine, size-capped.

#[cfg(test)]
mod tests;

use crate::effect::Effect;
use crate::target::{Form, Resource, Scheme};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use std::collections::HashSet;
use std::sync::Arc;

/// A rule as written, before its globs are compiled. Empty lists match everything.
#[derive(Debug, Clone, Default)]
pub struct RuleSpec {
    /// Unique name, shown in logs.
    pub name: String,
    /// Forms.
    pub form: Vec<Form>,
    /// Schemes.
    pub scheme: Vec<Scheme>,
    /// Host globs (`*.debian.org`), case-insensitive; `*` spans labels.
    pub host: Vec<String>,
    /// Path globs (`**/dists/**`), against the normal path without the query; `*` and `?` stop at `/`.
    pub path: Vec<String>,
    /// Extensions without the leading dot, compared case-insensitively, also compound ones (`tar.gz`).
    pub extension: Vec<String>,
    /// What it does; its name is filled in here.
    pub effect: Effect,
}

/// Compiled rules.
#[derive(Debug, Default)]
pub struct Rules {
    compiled: Vec<Rule>,
    standard: Arc<Effect>,
}

/// The most bytes in one glob.
const GLOB_BYTES_MAX: usize = 1024;
/// The most globs in one list of one rule.
const GLOBS_MAX: usize = 256;

/// A rule whose globs are compiled; `None` where a list was empty and so matches everything.
#[derive(Debug)]
struct Rule {
    spec: RuleSpec,
    effect: Arc<Effect>,
    host: Option<GlobSet>,
    path: Option<GlobSet>,
}

/// A rule that cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rule {rule:?}: {reason}")]
pub struct RuleError {
    /// Its name.
    pub rule: String,
    /// What is wrong.
    pub reason: String,
}

impl Rules {
    /// Compiles.
    ///
    /// # Errors
    /// [`RuleError`] for a bad glob or a duplicate name.
    pub fn compile(specs: Vec<RuleSpec>) -> Result<Self, RuleError> {
        let mut names = HashSet::new();
        if let Some(twice) = specs.iter().find(|spec| !names.insert(spec.name.as_str())) {
            let rule = twice.name.clone();
            return Err(RuleError {
                rule,
                reason: "another rule has this name".to_owned(),
            });
        }
        let compiled: Result<Vec<Rule>, RuleError> = specs.into_iter().map(Rule::compile).collect();
        Ok(Self {
            compiled: compiled?,
            standard: Arc::default(),
        })
    }

    /// The first rule that matches, else the standard.
    #[must_use]
    pub fn effect(&self, resource: &Resource) -> Arc<Effect> {
        let matching = self.compiled.iter().find(|rule| rule.matches(resource));
        matching.map_or_else(
            || Arc::clone(&self.standard),
            |rule| Arc::clone(&rule.effect),
        )
    }
}

impl Rule {
    fn compile(spec: RuleSpec) -> Result<Self, RuleError> {
        let failed = |reason| RuleError {
            rule: spec.name.clone(),
            reason,
        };
        let host = globs(&spec.host, Subject::Host).map_err(failed)?;
        let path = globs(&spec.path, Subject::Path).map_err(failed)?;
        let effect = Arc::new(Effect {
            rule: Some(spec.name.clone()),
            ..spec.effect.clone()
        });
        Ok(Self {
            spec,
            effect,
            host,
            path,
        })
    }

    fn matches(&self, resource: &Resource) -> bool {
        let target = &resource.target;
        let of = |globs: &Option<GlobSet>, text: &str| {
            globs.as_ref().is_none_or(|globs| globs.is_match(text))
        };
        let extension = || {
            let wanted = &self.spec.extension;
            wanted.is_empty()
                || wanted
                    .iter()
                    .any(|wanted| has_extension(target.path(), wanted))
        };
        (self.spec.form.is_empty() || self.spec.form.contains(&resource.form))
            && (self.spec.scheme.is_empty() || self.spec.scheme.contains(&target.scheme()))
            && of(&self.host, target.host())
            && of(&self.path, target.path())
            && extension()
    }
}

/// What a glob is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Host,
    Path,
}

fn globs(patterns: &[String], subject: Subject) -> Result<Option<GlobSet>, String> {
    if patterns.is_empty() {
        return Ok(None);
    }
    if patterns.len() > GLOBS_MAX {
        return Err(format!("more than {GLOBS_MAX} globs in one list"));
    }
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        if pattern.len() > GLOB_BYTES_MAX {
            return Err(format!("a glob longer than {GLOB_BYTES_MAX} bytes"));
        }
        let glob = GlobBuilder::new(pattern)
            .literal_separator(subject == Subject::Path)
            .case_insensitive(subject == Subject::Host)
            .build();
        set.add(glob.map_err(|error| error.to_string())?);
    }
    set.build().map(Some).map_err(|error| error.to_string())
}

/// Whether the last segment ends in `.extension` behind something: `.gz` is a name, not an extension.
fn has_extension(path: &str, extension: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let dot = name
        .len()
        .checked_sub(extension.len() + 1)
        .filter(|dot| *dot > 0);
    let tail = dot
        .and_then(|dot| name.get(dot..))
        .and_then(|tail| tail.strip_prefix('.'));
    tail.is_some_and(|tail| tail.eq_ignore_ascii_case(extension))
}
