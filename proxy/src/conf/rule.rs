//! `[[rule]]` and `[rules]`: what is done differently for some URLs. The first rule that matches decides.
//!
//! Reading order: [`RuleConfig`] (as written) → its conditions, here and in `conditions` (those that
//! could never hold) → `effect` (what a rule does), whose larger values
//! have files of their own: `fields` (`headers`) and `digest` (`verify`). The values themselves are in `words`.

mod conditions;
mod digest;
mod effect;
mod fields;
mod words;

use super::check::{Check, Section, quoted};
use super::size::ByteSize;
use super::span::TimeSpan;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use weir_policies::rules::{MediaPattern, ResponseConditions, RuleError, RuleSpec, Rules, shipped};
pub(super) use words::RangeMissWord;
use words::{FormWord, MissWord, OverrideWord, SchemeWord, StoreWord};

/// `[rules]` as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RulesConfig {
    /// Whether the shipped rules stand behind the operator's own.
    pub(crate) defaults: bool,
}

impl Default for RulesConfig {
    fn default() -> Self {
        Self { defaults: true }
    }
}

/// One `[[rule]]` as written. Conditions: empty lists match everything.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RuleConfig {
    /// Shown in logs.
    pub(crate) name: String,
    /// Ways to ask.
    pub(crate) form: Vec<FormWord>,
    /// Schemes.
    pub(crate) scheme: Vec<SchemeWord>,
    /// Globs.
    pub(crate) host: Vec<String>,
    /// Globs.
    pub(crate) path: Vec<String>,
    /// Without the dot.
    pub(crate) extension: Vec<String>,
    /// Only names that carry a version.
    pub(crate) versioned: bool,
    /// Least length of the response.
    pub(crate) size_min: Option<ByteSize>,
    /// Greatest length of the response.
    pub(crate) size_max: Option<ByteSize>,
    /// Types of the response.
    pub(crate) media_type: Vec<String>,
    /// Stored or not.
    pub(crate) store: StoreWord,
    /// What `store = "always"` sets aside.
    #[serde(rename = "override")]
    pub(crate) overrides: Vec<OverrideWord>,
    /// How long a response is fresh where the origin says nothing.
    pub(crate) ttl_default: Option<TimeSpan>,
    /// How long it is fresh at least.
    pub(crate) ttl_min: Option<TimeSpan>,
    /// How long it is fresh at most.
    pub(crate) ttl_max: Option<TimeSpan>,
    /// How long it answers while the origin fails.
    pub(crate) stale_for: Option<TimeSpan>,
    /// How long a 404 or 410 answers.
    pub(crate) negative_ttl: Option<TimeSpan>,
    /// The bytes behind the URL never change.
    pub(crate) immutable: bool,
    /// Never evicted.
    pub(crate) pin: bool,
    /// On a miss.
    pub(crate) miss: MissWord,
    /// On a miss of a range; whole where the bytes never change.
    pub(crate) range_miss: Option<RangeMissWord>,
    /// Redirects are followed for the client.
    pub(crate) follow_redirects: Option<bool>,
    /// Digests of the one file that the rule is for.
    pub(crate) verify: String,
    /// Bases that are asked when the upstream does not have it.
    pub(crate) fallback: Vec<String>,
    /// Fields of requests to the upstream.
    pub(crate) headers: BTreeMap<String, String>,
    /// Larger objects are refused.
    pub(crate) limit: Option<ByteSize>,
}

/// Checks and compiles all rules: those of the operator in their order, then the shipped ones.
pub(super) fn check_all(rules: &[RuleConfig], own: &RulesConfig, check: &mut Check<'_>) -> Rules {
    let mut specs: Vec<RuleSpec> = rules
        .iter()
        .enumerate()
        .map(|(index, rule)| rule.check(index, check))
        .collect();
    if own.defaults {
        specs.extend(shipped());
    }
    Rules::compile(specs).unwrap_or_else(|errors| {
        for error in errors {
            refuse(&error, rules, check);
        }
        Rules::default()
    })
}

/// Notes what is wrong where the operator can mend it. A shipped rule can only be wrong by standing behind others.
fn refuse(error: &RuleError, rules: &[RuleConfig], check: &mut Check<'_>) {
    // Several without a name have the same one; each was told already that it needs one.
    if error.key == "name" && error.value.is_empty() {
        return;
    }
    if error.index < rules.len() {
        let mut section = check.element("rule", error.index);
        section.refuse(error.key, quoted(&error.value), error.reason.as_str());
        return;
    }
    match rules.iter().position(|rule| rule.name == error.rule) {
        Some(index) => check.element("rule", index).refuse(
            "name",
            quoted(&error.rule),
            "a shipped rule has this name; choose another, or set [rules] defaults = false",
        ),
        None => check
            .section("rules")
            .refuse("defaults", true, error.reason.as_str()),
    }
}

impl RuleConfig {
    /// Checks number `index` and hands it on as policies want it.
    fn check(&self, index: usize, check: &mut Check<'_>) -> RuleSpec {
        let mut section = check.element("rule", index);
        if self.name.is_empty() {
            section.refuse_missing("name", "is needed: it is what logs call the rule");
        }
        RuleSpec {
            name: self.name.clone(),
            form: self.form.iter().map(|word| word.meaning()).collect(),
            scheme: self.scheme.iter().map(|word| word.meaning()).collect(),
            host: section.each("host", &self.host, conditions::parse_host),
            path: section.each("path", &self.path, conditions::parse_path),
            extension: section.each("extension", &self.extension, conditions::parse_extension),
            versioned: self.versioned,
            response: self.check_response(&mut section),
            effect: self.check_effect(&mut section),
        }
    }

    fn check_response(&self, section: &mut Section<'_, '_>) -> ResponseConditions {
        if let (Some(least), Some(most)) = (self.size_min, self.size_max)
            && least > most
        {
            let reason = format!("matches nothing: it is larger than size_max (\"{most}\")");
            section.refuse("size_min", quoted(least), reason);
        }
        let media_type = section.each("media_type", &self.media_type, |written| {
            MediaPattern::parse(written)
                .ok_or("not a media type; write one like \"application/x-rpm\" or \"video/*\"")
        });
        ResponseConditions {
            size_min: self.size_min.map(ByteSize::get),
            size_max: self.size_max.map(ByteSize::get),
            media_type,
        }
    }
}
