//! `[[rule]]`: what is done differently for some URLs. The first rule that matches decides.

use super::check::{Check, Section, quoted};
use super::span::TimeSpan;
use serde::{Deserialize, Serialize};
use weir_policies::effect::{Effect, StoreRule};
use weir_policies::freshness::Adjust;
use weir_policies::rules::{RuleSpec, Rules};
use weir_policies::target::{Form, Scheme};

/// One `[[rule]]` as written. Empty lists match everything.
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
    /// Stored or not.
    pub(crate) store: StoreWord,
    /// How long a response is fresh where the origin says nothing.
    pub(crate) ttl_default: Option<TimeSpan>,
    /// How long it is fresh at most.
    pub(crate) ttl_max: Option<TimeSpan>,
}

/// Values of `form`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FormWord {
    /// As a forward proxy.
    Forward,
    /// `/download/URL`
    Download,
    /// `/https/host/path`
    Path,
    /// A `[[mirror]]`.
    Mirror,
}

/// Values of `scheme`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SchemeWord {
    /// `http`
    Http,
    /// `https`
    Https,
    /// `ftp`
    Ftp,
}

/// Values of `store`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StoreWord {
    /// RFC 9111 decides.
    #[default]
    Standard,
    /// Never stored.
    Never,
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
            host: self.host.clone(),
            path: self.path.clone(),
            extension: section.each("extension", &self.extension, parse_extension),
            effect: Effect {
                store: match self.store {
                    StoreWord::Standard => StoreRule::Standard,
                    StoreWord::Never => StoreRule::Never,
                },
                adjust: Adjust {
                    ttl_default: self
                        .ttl_default
                        .map(|ttl| seconds(&mut section, "ttl_default", ttl)),
                    ttl_max: self
                        .ttl_max
                        .map(|ttl| seconds(&mut section, "ttl_max", ttl)),
                    ..Adjust::default()
                },
                ..Effect::default()
            },
        }
    }
}

/// Checks and compiles all rules, in their order.
pub(super) fn check_all(rules: &[RuleConfig], check: &mut Check<'_>) -> Rules {
    let specs = rules
        .iter()
        .enumerate()
        .map(|(index, rule)| rule.check(index, check))
        .collect();
    Rules::compile(specs).unwrap_or_else(|error| {
        // Of two rules with one name the later one is the duplicate.
        let index = rules
            .iter()
            .rposition(|rule| rule.name == error.rule)
            .unwrap_or(0);
        check
            .element("rule", index)
            .refuse("name", quoted(&error.rule), error.reason);
        Rules::default()
    })
}

/// Freshness counts in whole seconds.
fn seconds(section: &mut Section<'_, '_>, key: &'static str, ttl: TimeSpan) -> u64 {
    if ttl.get().subsec_millis() != 0 {
        section.refuse(key, quoted(ttl), "must be whole seconds");
    }
    ttl.get().as_secs()
}

/// Takes `.tar.gz` as well as `tar.gz`.
fn parse_extension(written: &str) -> Result<String, &'static str> {
    let bare = written.strip_prefix('.').unwrap_or(written);
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'/' && byte != b'*';
    if bare.is_empty() || !bare.bytes().all(fits) {
        return Err("not an extension; write it without dot and star, like \"tar.gz\"");
    }
    Ok(bare.to_owned())
}

impl FormWord {
    fn meaning(self) -> Form {
        match self {
            Self::Forward => Form::Forward,
            Self::Download => Form::Download,
            Self::Path => Form::Path,
            Self::Mirror => Form::Mirror,
        }
    }
}

impl SchemeWord {
    fn meaning(self) -> Scheme {
        match self {
            Self::Http => Scheme::Http,
            Self::Https => Scheme::Https,
            Self::Ftp => Scheme::Ftp,
        }
    }
}
