//! `[cache_proxy]`: whether `/download/URL` behaves as openEuler's cache-proxy does.
//!
//! One key switches it; the others say what that proxy was told by OPEN_PROXY_RULES, SUFFIX_RULES, URL_WHITE_LIST and
//! PROXY_URL. What they mean for a request is decided in [`crate::gateway`]; its variables of the environment are not
//! read.

use super::check::{Check, Section, quoted};
use super::size::{ByteBound, ByteSize};
use serde::{Deserialize, Serialize};
use weir_policies::target::{Scheme, Target};

/// `[cache_proxy]` as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CacheProxyConfig {
    /// The one key.
    pub(crate) enabled: bool,
    /// Written before the URL of a redirect.
    pub(crate) proxy_url: String,
    /// What becomes of a suffix that is not listed.
    pub(crate) suffix_rules: SuffixRules,
    /// With or without the dot.
    pub(crate) suffixes: Vec<String>,
    /// Largest object.
    pub(crate) size_max: ByteBound,
    /// Not held to `size_max`.
    pub(crate) allow_urls: Vec<String>,
}

/// What becomes of a URL whose suffix is not listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SuffixRules {
    /// Nothing: suffixes do not matter.
    Off,
    /// It is refused.
    Strict,
    /// Clients are sent to the upstream, and nothing is stored.
    Lenient,
}

impl SuffixRules {
    fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Strict => "strict",
            Self::Lenient => "lenient",
        }
    }
}

/// `[cache_proxy]`, checked. There is none while it is not enabled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CacheProxySettings {
    /// Written before the URL of a redirect and of a fetch; `None`: the upstream itself.
    pub(crate) proxy_url: Option<String>,
    /// What becomes of a suffix that is not listed.
    pub(crate) suffix_rules: SuffixRules,
    /// Lower-case, each with its dot.
    pub(crate) suffixes: Vec<String>,
    /// Bytes of the largest object; `None`: any.
    pub(crate) size_max: Option<u64>,
    /// Not held to `size_max`.
    pub(crate) allow_urls: Vec<AllowedUrl>,
}

/// One of `allow_urls`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AllowedUrl(Target);

impl Default for CacheProxyConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            proxy_url: String::new(),
            suffix_rules: SuffixRules::Off,
            suffixes: Vec::new(),
            size_max: ByteSize::from_bytes(1_000_000_000).into(),
            allow_urls: Vec::new(),
        }
    }
}

impl CacheProxyConfig {
    /// Checks every key, also while the whole is not enabled: who switches it on later has no surprise.
    pub(super) fn check(
        &self,
        path_forms: bool,
        check: &mut Check<'_>,
    ) -> Option<CacheProxySettings> {
        let mut section = check.section("cache_proxy");
        if self.enabled && !path_forms {
            let reason = "needs /download/: set [listen] path_forms = true";
            section.refuse("enabled", true, reason);
        }
        if self.suffix_rules != SuffixRules::Off && self.suffixes.is_empty() {
            let reason =
                "needs suffixes, like [\"tar.gz\", \"zip\"]: every URL would be an unwanted one";
            section.refuse("suffix_rules", quoted(self.suffix_rules.as_str()), reason);
        }
        let settings = CacheProxySettings {
            proxy_url: self.check_proxy_url(&mut section),
            suffix_rules: self.suffix_rules,
            suffixes: section.each("suffixes", &self.suffixes, parse_suffix),
            size_max: self.size_max.get(),
            allow_urls: section.each("allow_urls", &self.allow_urls, parse_allowed),
        };
        self.enabled.then_some(settings)
    }

    fn check_proxy_url(&self, section: &mut Section<'_, '_>) -> Option<String> {
        if self.proxy_url.is_empty() {
            return None;
        }
        let parsed = Target::parse(&self.proxy_url).map_err(|error| error.to_string());
        let reason = match parsed {
            Ok(target) if target.scheme() == Scheme::Ftp => {
                "ftp is not a scheme of proxies".to_owned()
            }
            Ok(_) if !self.proxy_url.ends_with(['/', '=']) => {
                "the URL is written right behind it: end it with \"/\" or \"=\"".to_owned()
            }
            Ok(_) => return Some(self.proxy_url.clone()),
            Err(reason) => reason,
        };
        let reason = format!("{reason}; write it like \"http://second.example:8080/download/\"");
        section.refuse("proxy_url", quoted(&self.proxy_url), reason);
        None
    }
}

impl CacheProxySettings {
    /// Whether the name at the end of a URL has one of the suffixes.
    pub(crate) fn lists_suffix_of(&self, target: &Target) -> bool {
        let path = target.path().to_ascii_lowercase();
        self.suffixes.iter().any(|suffix| path.ends_with(suffix))
    }

    /// The largest object that this URL may name, bytes; `None`: any.
    pub(crate) fn size_max_of(&self, target: &Target) -> Option<u64> {
        let is_allowed = self.allow_urls.iter().any(|url| url.covers(target));
        self.size_max.filter(|_| !is_allowed)
    }
}

impl AllowedUrl {
    /// The URL itself, and everything below it when it ends with a slash. Written without a query it allows every
    /// query: the original proxy never saw one.
    pub(crate) fn covers(&self, target: &Target) -> bool {
        let Self(url) = self;
        let is_same_site = url.scheme() == target.scheme()
            && url.host() == target.host()
            && url.port() == target.port();
        let is_covered = if url.path_and_query().contains('?') {
            url.path_and_query() == target.path_and_query()
        } else if url.path().ends_with('/') {
            target.path().starts_with(url.path())
        } else {
            url.path() == target.path()
        };
        is_same_site && is_covered
    }
}

/// Takes `tar.gz` as well as `.tar.gz`.
fn parse_suffix(written: &str) -> Result<String, &'static str> {
    let bare = written.strip_prefix('.').unwrap_or(written);
    let fits = |byte: u8| byte.is_ascii_graphic() && !b"/*?#".contains(&byte);
    if bare.is_empty() || !bare.bytes().all(fits) {
        return Err("not a suffix; write it without star, like \"tar.gz\"");
    }
    Ok(format!(".{}", bare.to_ascii_lowercase()))
}

fn parse_allowed(written: &str) -> Result<AllowedUrl, String> {
    Target::parse(written).map(AllowedUrl).map_err(|error| {
        format!(
            "{error}; write a whole URL, or one that ends with \"/\" for everything below it, like \
             \"https://example.org/images/\""
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_allowed_itself_or_with_everything_below_its_slash() {
        let check = |allowed: &str, url: &str, covered: bool| {
            let allowed = parse_allowed(allowed).unwrap();
            let target = Target::parse(url).unwrap();
            assert_eq!(allowed.covers(&target), covered, "{allowed:?} {url}");
        };
        check("http://h/a.iso", "http://h/a.iso", true);
        check("http://h/a.iso", "http://h/a.iso?mirror=2", true);
        check("http://h/a.iso", "http://h/a.iso.sig", false);
        check("http://h/a.iso", "https://h/a.iso", false);
        check("http://h/a.iso", "http://h:81/a.iso", false);
        check("http://h/a.iso", "http://other/a.iso", false);
        check("http://h/a.iso?v=1", "http://h/a.iso?v=1", true);
        check("http://h/a.iso?v=1", "http://h/a.iso?v=2", false);
        check("http://h/images/", "http://h/images/a/b.iso", true);
        check("http://h/images/", "http://h/images2/b.iso", false);
        check("http://h", "http://h/anything", true);
        check("HTTP://H:80/%7Ea", "http://h/~a", true);
    }

    #[test]
    fn a_suffix_is_the_end_of_the_path_behind_a_dot() {
        let suffixes = [".tar.gz", "ZIP"].map(|suffix| parse_suffix(suffix).unwrap());
        let settings = CacheProxySettings {
            proxy_url: None,
            suffix_rules: SuffixRules::Strict,
            suffixes: suffixes.to_vec(),
            size_max: None,
            allow_urls: Vec::new(),
        };
        let check = |url: &str, listed: bool| {
            let target = Target::parse(url).unwrap();
            assert_eq!(settings.lists_suffix_of(&target), listed, "{url}");
        };
        check("http://h/a.tar.gz", true);
        check("http://h/a.TAR.GZ?x=.mp3", true);
        check("http://h/a.zip", true);
        check("http://h/azip", false);
        check("http://h/a.gz", false);
        check("http://h/a.mp3?x=.zip", false);
        check("http://h/a.zip/", false);
        check("http://a.zip/", false);
    }

    #[test]
    fn what_is_no_suffix_is_refused() {
        for wrong in ["", ".", "*.gz", "a/b", "a b", "ä", "gz?"] {
            assert!(parse_suffix(wrong).is_err(), "{wrong:?}");
        }
    }
}
