//! What a `[[rule]]` does, checked: single keys, and those that only make sense together.

use super::super::check::{Section, quoted};
use super::super::size::ByteSize;
use super::super::span::TimeSpan;
use super::words::{FormWord, MissWord, StoreWord};
use super::{RuleConfig, digest, fields};
use weir_policies::effect::{Effect, MissMode, RangeMiss};
use weir_policies::fallback::Fallback;
use weir_policies::freshness::{Adjust, Overrides};

/// Longest time for which a 404 or 410 answers, seconds: what is missing today may be published tomorrow.
const NEGATIVE_SECONDS_MAX: u64 = 24 * 60 * 60;
/// Most bases of one rule: each is one more wait for a client whose file is nowhere.
const FALLBACKS_MAX: usize = 8;

impl RuleConfig {
    pub(super) fn check_effect(&self, section: &mut Section<'_, '_>) -> Effect {
        Effect {
            rule: None,
            store: self.store.meaning(),
            adjust: self.check_adjust(section),
            miss: self.check_miss(section),
            range_miss: match self.range_miss {
                Some(word) => word.meaning(),
                None if self.immutable => RangeMiss::Whole,
                None => RangeMiss::Part,
            },
            follow_redirects: self.follow_redirects,
            negative_ttl: self.check_negative_ttl(section),
            verify: digest::check(self, section),
            fallback: self.check_fallback(section),
            headers: fields::check(&self.headers, section),
            size_max: self.check_limit(section),
            pin: self.pin,
        }
    }

    /// Its own URL is the one that a forward request would be sent to.
    fn check_miss(&self, section: &mut Section<'_, '_>) -> MissMode {
        let is_forward_only =
            !self.form.is_empty() && self.form.iter().all(|word| *word == FormWord::Forward);
        if is_forward_only && self.miss != MissWord::Stream {
            let reason = "has no effect: requests to a forward proxy are always streamed; name another form, \
                          or remove this";
            section.refuse("miss", quoted(self.miss.written()), reason);
        }
        self.miss.meaning()
    }

    fn check_adjust(&self, section: &mut Section<'_, '_>) -> Adjust {
        if let (Some(least), Some(most)) = (self.ttl_min, self.ttl_max)
            && least > most
        {
            let reason = format!("must not be longer than ttl_max (\"{most}\")");
            section.refuse("ttl_min", quoted(least), reason);
        }
        Adjust {
            ttl_default: seconds(section, "ttl_default", self.ttl_default),
            ttl_min: seconds(section, "ttl_min", self.ttl_min),
            ttl_max: seconds(section, "ttl_max", self.ttl_max),
            stale_for: seconds(section, "stale_for", self.stale_for),
            immutable: self.immutable,
            // What the mirror says, not the rule.
            cdn: false,
            overrides: self.check_overrides(section),
        }
    }

    /// Going against an origin's word has to be said in so many words: twice, and for each of them.
    fn check_overrides(&self, section: &mut Section<'_, '_>) -> Overrides {
        let mut overrides = Overrides::default();
        for word in &self.overrides {
            word.add_to(&mut overrides);
        }
        match (self.store, self.overrides.is_empty()) {
            (StoreWord::Always, true) => section.refuse(
                "store",
                quoted("always"),
                "has to name what it overrides, like override = [\"no-store\"]; there are \
                 \"no-store\", \"no-cache\", \"private\" and \"set-cookie\"",
            ),
            (StoreWord::Standard | StoreWord::Never, false) => {
                let reason = "overrides are only for store = \"always\"; set that, or remove this";
                section.refuse_missing("override", reason);
            }
            (StoreWord::Always, false) | (StoreWord::Standard | StoreWord::Never, true) => {}
        }
        overrides
    }

    fn check_negative_ttl(&self, section: &mut Section<'_, '_>) -> u64 {
        let ttl = seconds(section, "negative_ttl", self.negative_ttl).unwrap_or(0);
        if let Some(written) = self.negative_ttl.filter(|_| ttl > NEGATIVE_SECONDS_MAX) {
            section.refuse("negative_ttl", quoted(written), "too long; at most \"1d\"");
        }
        ttl
    }

    fn check_fallback(&self, section: &mut Section<'_, '_>) -> Vec<Fallback> {
        if self.fallback.len() > FALLBACKS_MAX {
            let reason = format!("at most {FALLBACKS_MAX} bases");
            section.refuse("fallback", self.fallback.len(), reason);
        }
        section.each("fallback", &self.fallback, |written| {
            Fallback::parse(written).map_err(|error| {
                format!(
                    "{error}; write a base URL, like \"https://archive.example/{{host}}/{{path}}\""
                )
            })
        })
    }

    fn check_limit(&self, section: &mut Section<'_, '_>) -> Option<u64> {
        let limit = self.limit?;
        if limit == ByteSize::from_bytes(0) {
            let reason = "would refuse every object; leave it out for no limit";
            section.refuse("limit", quoted(limit), reason);
        }
        Some(limit.get())
    }
}

/// Freshness counts in whole seconds.
fn seconds(section: &mut Section<'_, '_>, key: &'static str, ttl: Option<TimeSpan>) -> Option<u64> {
    let ttl = ttl?;
    if ttl.get().subsec_millis() != 0 {
        section.refuse(key, quoted(ttl), "must be whole seconds");
    }
    Some(ttl.get().as_secs())
}
