//! `[cache_proxy]`: what comes of the section, and what is said of mistakes in it, word for word.

use super::{Settings, load_environment, load_file};
use crate::conf::SuffixRules;

#[track_caller]
fn check(keys: &str, expected: &str) {
    let message = load_file(&format!("[cache_proxy]\n{keys}"))
        .err()
        .unwrap_or_else(|| panic!("accepted: {keys}"));
    assert_eq!(message, expected, "for {keys:?}");
}

#[test]
fn nothing_is_as_the_original_until_the_one_key_says_so() {
    let disabled = |settings: Settings| settings.cache_proxy.is_none();
    assert!(disabled(load_file("").unwrap()));
    assert!(disabled(
        load_file("[cache_proxy]\nsize_max = \"1KB\"").unwrap()
    ));
    let enabled = load_environment(&[("WEIR__CACHE_PROXY__ENABLED", "true")]).unwrap();
    let settings = enabled.cache_proxy.unwrap();
    assert_eq!(settings.size_max, Some(1_000_000_000));
    assert_eq!(settings.suffix_rules, SuffixRules::Off);
    assert_eq!(settings.proxy_url, None);
}

#[test]
fn what_the_original_was_told_has_a_key_each() {
    let settings = load_file(
        "[cache_proxy]\nenabled = true\nproxy_url = \"http://second.example:8080/download/\"\n\
         suffix_rules = \"lenient\"\nsuffixes = [\".tar\", \"GZ\"]\nsize_max = \"\"\n\
         allow_urls = [\"https://a.example/images/\"]",
    )
    .unwrap()
    .cache_proxy
    .unwrap();
    let proxy_url = settings.proxy_url.as_deref();
    assert_eq!(proxy_url, Some("http://second.example:8080/download/"));
    assert_eq!(settings.suffix_rules, SuffixRules::Lenient);
    assert_eq!(settings.suffixes, [".tar", ".gz"]);
    assert_eq!(settings.size_max, None);
    assert_eq!(settings.allow_urls.len(), 1);
}

#[test]
fn mistakes_are_told_what_would_be_right() {
    check(
        "suffix_rules = \"strict\"",
        "weir.toml:2: [cache_proxy] suffix_rules = \"strict\": needs suffixes, like [\"tar.gz\", \"zip\"]: every URL \
         would be an unwanted one",
    );
    check(
        "suffixes = [\"*.gz\"]",
        "weir.toml:2: [cache_proxy] suffixes = \"*.gz\": not a suffix; write it without star, like \"tar.gz\"",
    );
    check(
        "proxy_url = \"http://second.example/download\"",
        "weir.toml:2: [cache_proxy] proxy_url = \"http://second.example/download\": the URL is written right behind \
         it: end it with \"/\" or \"=\"; write it like \"http://second.example:8080/download/\"",
    );
    check(
        "proxy_url = \"second.example/\"",
        "weir.toml:2: [cache_proxy] proxy_url = \"second.example/\": malformed target: no scheme; write it like \
         \"http://second.example:8080/download/\"",
    );
    check(
        "proxy_url = \"ftp://second.example/\"",
        "weir.toml:2: [cache_proxy] proxy_url = \"ftp://second.example/\": ftp is not a scheme of proxies; write it \
         like \"http://second.example:8080/download/\"",
    );
    check(
        "allow_urls = [\"big.iso\"]",
        "weir.toml:2: [cache_proxy] allow_urls = \"big.iso\": malformed target: no scheme; write a whole URL, or one \
         that ends with \"/\" for everything below it, like \"https://example.org/images/\"",
    );
    check(
        "enabled = true\n[listen]\npath_forms = false",
        "weir.toml:2: [cache_proxy] enabled = true: needs /download/: set [listen] path_forms = true",
    );
}
