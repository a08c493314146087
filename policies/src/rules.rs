//! `[[rule]]`: named, first match wins. Conditions by form, scheme, host, path glob and extension; the effects that
//! exist so far are `store`, `ttl_default` and `ttl_max`. Globs compile to a linear-time engine, size-capped.

use crate::freshness::Adjust;
use crate::target::{Form, Resource, Scheme};

/// What a rule says of storing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StoreRule {
    /// RFC 9111 decides.
    #[default]
    Standard,
    /// Never stored, never shared.
    Never,
}

/// A rule as written, before its globs are compiled. Empty lists match everything.
#[derive(Debug, Clone, Default)]
pub struct RuleSpec {
    /// Unique name, shown in logs.
    pub name: String,
    /// Forms.
    pub form: Vec<Form>,
    /// Schemes.
    pub scheme: Vec<Scheme>,
    /// Host globs (`*.debian.org`).
    pub host: Vec<String>,
    /// Path globs (`**/dists/**`).
    pub path: Vec<String>,
    /// Extensions without the dot, compared case-insensitively, also compound ones (`tar.gz`).
    pub extension: Vec<String>,
    /// Effect.
    pub store: StoreRule,
    /// Effect.
    pub adjust: Adjust,
}

/// What the rules say of one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effect<'a> {
    /// The matching rule's name; `None` for the standard.
    pub rule: Option<&'a str>,
    /// Store or not.
    pub store: StoreRule,
    /// Freshness.
    pub adjust: Adjust,
}

/// Compiled rules.
#[derive(Debug, Default)]
pub struct Rules {
    compiled: Vec<RuleSpec>,
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
        let _ = specs;
        unimplemented!()
    }

    /// The first rule that matches, else the standard.
    #[must_use]
    pub fn effect(&self, resource: &Resource) -> Effect<'_> {
        let _ = (resource, &self.compiled);
        unimplemented!()
    }
}
