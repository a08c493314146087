//! What a rule does: everything that may be different for one resource than for another.
//!
//! The default of every field is the standard. Pure values; [`crate::rules`] decides which effect a request gets, and an
//! [`Overlay`] what is said besides the rules.

use crate::freshness::Adjust;
use http::{HeaderName, HeaderValue};

/// What a rule says of storing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StoreRule {
    /// RFC 9111 decides (with what [`Adjust::overrides`] takes away from it).
    #[default]
    Standard,
    /// Never stored, never shared.
    Never,
}

/// What a client gets for something that is not cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissMode {
    /// The bytes, while they are stored.
    #[default]
    Stream,
    /// A redirect to the upstream; nothing is fetched.
    Redirect,
    /// A redirect to the upstream, and one fill behind it.
    RedirectAndFetch,
}

/// What is fetched for a range of something that is not cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RangeMiss {
    /// The whole object; the range is answered as soon as its bytes are there.
    Whole,
    /// The range only; parts are stored and combined.
    #[default]
    Part,
}

/// Digests that an object must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExpectedDigests {
    /// sha256.
    pub sha256: Option<[u8; 32]>,
    /// md5.
    pub md5: Option<[u8; 16]>,
}

impl ExpectedDigests {
    /// Whether anything is expected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sha256.is_none() && self.md5.is_none()
    }
}

/// What the rules say of one resource.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effect {
    /// The rule's name; `None` for the standard.
    pub rule: Option<String>,
    /// Store or not.
    pub store: StoreRule,
    /// Freshness, and what of the standard is overridden.
    pub adjust: Adjust,
    /// On a miss.
    pub miss: MissMode,
    /// On a miss of a range. Of what never changes the whole is wanted sooner or later; elsewhere a range is often all.
    pub range_miss: RangeMiss,
    /// Whether redirects are followed for the client; `None`: as the form of the request has it.
    pub follow_redirects: Option<bool>,
    /// How long a 404 or 410 answers for the next requests, seconds.
    pub negative_ttl: u64,
    /// Checked before the commit.
    pub verify: ExpectedDigests,
    /// Where to look when the upstream says 404 or 410 or fails.
    pub fallback: Vec<crate::fallback::Fallback>,
    /// Fields set on requests to the upstream; `None` removes one.
    pub headers: Vec<(HeaderName, Option<HeaderValue>)>,
    /// Larger objects are refused, bytes.
    pub size_max: Option<u64>,
    /// Never evicted.
    pub pin: bool,
}

/// What is laid over the effect of whatever rule speaks: settings of a way of asking, such as cache-proxy's.
///
/// Invariant: it forbids and bounds. What a rule forbids stays forbidden, and of two bounds the smaller one holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Overlay {
    /// In place of the rule's.
    pub miss: Option<MissMode>,
    /// Store or not.
    pub store: StoreRule,
    /// Larger objects are refused, bytes.
    pub size_max: Option<u64>,
}

impl Overlay {
    /// The effect with this laid over it.
    #[must_use]
    pub fn over(self, effect: &Effect) -> Effect {
        Effect {
            miss: self.miss.unwrap_or(effect.miss),
            store: match self.store {
                StoreRule::Never => StoreRule::Never,
                StoreRule::Standard => effect.store,
            },
            size_max: self.size_max.into_iter().chain(effect.size_max).min(),
            ..effect.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_laid_over_an_effect_forbids_and_bounds() {
        let check = |over: Overlay, rule: (StoreRule, Option<u64>), expected| {
            let (store, size_max) = rule;
            let rule = Effect {
                store,
                size_max,
                pin: true,
                miss: MissMode::Redirect,
                ..Effect::default()
            };
            let effect = over.over(&rule);
            assert!(effect.pin, "the rest stays");
            assert_eq!((effect.store, effect.size_max, effect.miss), expected);
        };
        let (never, standard) = (StoreRule::Never, StoreRule::Standard);
        let nothing = Overlay::default();
        let by_rule = MissMode::Redirect;
        check(nothing, (standard, None), (standard, None, by_rule));
        check(nothing, (never, Some(9)), (never, Some(9), by_rule));
        let everything = Overlay {
            miss: Some(MissMode::Stream),
            store: never,
            size_max: Some(10),
        };
        let own = MissMode::Stream;
        check(everything, (standard, None), (never, Some(10), own));
        check(everything, (standard, Some(9)), (never, Some(9), own));
        check(everything, (never, Some(11)), (never, Some(10), own));
    }
}
