//! What openEuler's cache-proxy would do with a `/download/URL`: refuse it, keep it, or only point at it.
//!
//! Pure: a URL goes in, what is to be done besides what the rules say comes out. [`super::redirect`] acts on it. Its
//! two sentences, `Prohibited by proxy rule` and `out limit`, are looked for by scripts and stay as they are.

use crate::conf::{CacheProxySettings, SuffixRules};
use weir_policies::effect::{MissMode, Overlay, StoreRule};
use weir_policies::target::Target;

/// The body of a refusal for the suffix.
pub(super) const PROHIBITED: &str =
    "Prohibited by proxy rule: files with this suffix are not served";

/// Why a URL is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Prohibited;

impl CacheProxySettings {
    /// What is done with `target`, whatever the rules say of it.
    ///
    /// # Errors
    /// [`Prohibited`]: nothing, its suffix is not listed.
    pub(super) fn overlay(&self, target: &Target) -> Result<Overlay, Prohibited> {
        let is_listed = self.suffix_rules == SuffixRules::Off || self.lists_suffix_of(target);
        match (is_listed, self.suffix_rules) {
            (false, SuffixRules::Strict) => Err(Prohibited),
            (false, SuffixRules::Lenient | SuffixRules::Off) => Ok(Overlay {
                miss: Some(MissMode::Redirect),
                store: StoreRule::Never,
                size_max: None,
            }),
            (true, _) => Ok(Overlay {
                miss: Some(MissMode::RedirectAndFetch),
                store: StoreRule::Standard,
                size_max: self.size_max_of(target),
            }),
        }
    }

    /// Where clients are sent for `upstream`, and where it is fetched from.
    pub(super) fn location(&self, upstream: &Target) -> String {
        let before = self.proxy_url.as_deref().unwrap_or_default();
        format!("{before}{upstream}")
    }
}

/// The body of a refusal for the size; both in bytes.
pub(super) fn out_limit(host: &str, limit: u64) -> String {
    format!("out limit: the file at {host} is larger than {limit} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(suffix_rules: SuffixRules) -> CacheProxySettings {
        CacheProxySettings {
            proxy_url: None,
            suffix_rules,
            suffixes: vec![".gz".to_owned()],
            size_max: Some(1000),
            allow_urls: Vec::new(),
        }
    }

    #[test]
    fn a_suffix_decides_whether_a_url_is_fetched_pointed_at_or_refused() {
        let check = |rules, url: &str, expected: Result<Overlay, Prohibited>| {
            let target = Target::parse(url).unwrap();
            let judged = settings(rules).overlay(&target);
            assert_eq!(judged, expected, "{rules:?} {url}");
        };
        let fetched = Ok(Overlay {
            miss: Some(MissMode::RedirectAndFetch),
            store: StoreRule::Standard,
            size_max: Some(1000),
        });
        let pointed_at = Ok(Overlay {
            miss: Some(MissMode::Redirect),
            store: StoreRule::Never,
            size_max: None,
        });
        check(SuffixRules::Off, "http://h/a.mp3", fetched);
        check(SuffixRules::Strict, "http://h/a.gz", fetched);
        check(SuffixRules::Strict, "http://h/a.mp3", Err(Prohibited));
        check(SuffixRules::Lenient, "http://h/a.gz", fetched);
        check(SuffixRules::Lenient, "http://h/a.mp3", pointed_at);
    }

    #[test]
    fn the_second_cache_is_written_before_the_url() {
        let target = Target::parse("https://h/a.gz?x=1").unwrap();
        let mut settings = settings(SuffixRules::Off);
        assert_eq!(settings.location(&target), "https://h/a.gz?x=1");
        settings.proxy_url = Some("http://second:8080/download/".to_owned());
        assert_eq!(
            settings.location(&target),
            "http://second:8080/download/https://h/a.gz?x=1"
        );
    }
}
