//! `[[rule]]`: named, first match wins. What the conditions are, and which rule speaks for which resource.
//!
//! Invariants: every match takes time linear in what is matched (globs compile to automata), and how much can be
//! written is bounded. A rule with conditions on the response is judged only when the response is known; before that
//! it is as if it were not there.
//!
//! Reading order: [`RuleSpec`] (a rule as written) → [`Rules`] (compiled) → `name` and `response` (the conditions that
//! need more than a glob) → [`shipped`] (the rules that come with Weir, made of the same parts).
//!
//! Deliberately absent: what an effect does ([`crate::effect`]) and how a rule is written in a file.

mod defaults;
pub(crate) mod glob;
mod memo;
mod name;
mod response;
#[cfg(test)]
mod tests;

pub use defaults::shipped;
pub use name::is_archive;
pub use response::{MediaPattern, ResponseConditions, ResponseFacts};

use crate::effect::Effect;
use crate::target::{Form, Resource, Scheme};
use glob::{Subject, globs};
use globset::GlobSet;
use memo::Memo;
use name::{Extensions, is_versioned};
use std::collections::HashSet;
use std::sync::Arc;

/// The most rules, shipped ones included: each costs every request a look.
pub const RULES_MAX: usize = 1000;

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
    /// Only file names that carry a version: a digit, or a word of at least seven hex characters.
    pub versioned: bool,
    /// What the response must be like.
    pub response: ResponseConditions,
    /// What it does; its name is filled in here.
    pub effect: Effect,
}

/// Compiled rules.
#[derive(Debug, Default)]
pub struct Rules {
    compiled: Vec<Rule>,
    standard: Arc<Effect>,
    /// `None` where there are no rules.
    memo: Option<Memo>,
}

/// A rule whose globs are compiled; `None` where a list was empty and so matches everything.
#[derive(Debug)]
struct Rule {
    spec: RuleSpec,
    effect: Arc<Effect>,
    extension: Option<Extensions>,
    host: Option<GlobSet>,
    path: Option<GlobSet>,
}

/// Why a rule cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rule {rule:?}: {key}: {reason}")]
pub struct RuleError {
    /// Which rule, counted from 0.
    pub index: usize,
    /// Its name.
    pub rule: String,
    /// The key that is wrong.
    pub key: &'static str,
    /// What of its value is wrong.
    pub value: String,
    /// Why.
    pub reason: String,
}

impl Rules {
    /// Compiles.
    ///
    /// # Errors
    /// Every duplicate name and every glob that is wrong.
    pub fn compile(specs: Vec<RuleSpec>) -> Result<Self, Vec<RuleError>> {
        let mut names = HashSet::new();
        let mut compiled = Vec::with_capacity(specs.len().min(RULES_MAX));
        let mut errors = Vec::new();
        for (index, spec) in specs.into_iter().enumerate() {
            if index >= RULES_MAX {
                let reason = format!("more than {RULES_MAX} rules, shipped ones included");
                errors.push(spec.error(index, "name", &spec.name, reason));
                break;
            }
            if !names.insert(spec.name.clone()) {
                let reason = "another rule has this name".to_owned();
                errors.push(spec.error(index, "name", &spec.name, reason));
            }
            match Rule::compile(index, spec) {
                Ok(rule) => compiled.push(rule),
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            memo: (!compiled.is_empty()).then(Memo::new),
            compiled,
            standard: Arc::default(),
        })
    }

    /// What the first rule that matches says, else the standard. Rules with conditions on the response are passed
    /// over: nothing is known of it yet.
    #[must_use]
    pub fn effect(&self, resource: &Resource) -> Arc<Effect> {
        let find = || self.first(|rule| rule.spec.response.is_empty() && rule.matches(resource));
        match &self.memo {
            Some(memo) => memo.effect(resource, find),
            None => find(),
        }
    }

    /// What the first rule that matches says once the response is known, else the standard.
    #[must_use]
    pub fn effect_of_response(
        &self,
        resource: &Resource,
        response: &ResponseFacts<'_>,
    ) -> Arc<Effect> {
        self.first(|rule| rule.spec.response.hold(response) && rule.matches(resource))
    }

    /// The names of the rules that may speak instead of [`Rules::effect`] once the response is known, in their order.
    pub fn waiting(&self, resource: &Resource) -> impl Iterator<Item = &str> {
        let matching = self.compiled.iter().filter(|rule| rule.matches(resource));
        matching
            .take_while(|rule| !rule.spec.response.is_empty())
            .map(|rule| rule.spec.name.as_str())
    }

    /// Whether any rule has conditions on the response, so that a second look is worth it.
    #[must_use]
    pub fn look_at_responses(&self) -> bool {
        let mut rules = self.compiled.iter();
        rules.any(|rule| !rule.spec.response.is_empty())
    }

    fn first(&self, speaks: impl Fn(&Rule) -> bool) -> Arc<Effect> {
        let speaking = self.compiled.iter().find(|rule| speaks(rule));
        Arc::clone(speaking.map_or(&self.standard, |rule| &rule.effect))
    }
}

impl RuleSpec {
    fn error(&self, index: usize, key: &'static str, value: &str, reason: String) -> RuleError {
        RuleError {
            index,
            rule: self.name.clone(),
            key,
            value: value.to_owned(),
            reason,
        }
    }
}

impl Rule {
    fn compile(index: usize, spec: RuleSpec) -> Result<Self, RuleError> {
        let compiled = |key, patterns: &[String], subject| {
            globs(patterns, subject)
                .map_err(|wrong| spec.error(index, key, &wrong.glob, wrong.reason))
        };
        let host = compiled("host", &spec.host, Subject::Host)?;
        let path = compiled("path", &spec.path, Subject::Path)?;
        let effect = Arc::new(Effect {
            rule: Some(spec.name.clone()),
            ..spec.effect.clone()
        });
        let listed = || Extensions::of(spec.extension.iter().map(String::as_str));
        let extension = (!spec.extension.is_empty()).then(listed);
        Ok(Self {
            spec,
            effect,
            extension,
            host,
            path,
        })
    }

    fn matches(&self, resource: &Resource) -> bool {
        let spec = &self.spec;
        let target = &resource.target;
        let of = |globs: &Option<GlobSet>, text: &str| {
            globs.as_ref().is_none_or(|globs| globs.is_match(text))
        };
        let extension = || {
            let extension = self.extension.as_ref();
            extension.is_none_or(|wanted| wanted.end(target.path()))
        };
        (spec.form.is_empty() || spec.form.contains(&resource.form))
            && (spec.scheme.is_empty() || spec.scheme.contains(&target.scheme()))
            && of(&self.host, target.host())
            && extension()
            && of(&self.path, target.path())
            && (!spec.versioned || is_versioned(target.path()))
    }
}
