//! `verify` of a `[[rule]]`: `"sha256:HEX"`, `"md5:HEX"`, or both with a space between.
//!
//! A digest belongs to one file, so a rule that has one must be about one URL.

use super::super::check::{Section, quoted};
use super::RuleConfig;
use weir_policies::effect::ExpectedDigests;

/// Checks `verify`, and that the rule is about one URL then.
pub(super) fn check(rule: &RuleConfig, section: &mut Section<'_, '_>) -> ExpectedDigests {
    if rule.verify.is_empty() {
        return ExpectedDigests::default();
    }
    if !is_about_one_url(rule) {
        let reason = "a digest belongs to one file; the rule needs one host and one path, both without \
                      wildcards";
        section.refuse("verify", quoted(&rule.verify), reason);
    }
    parse(&rule.verify).unwrap_or_else(|reason| {
        section.refuse("verify", quoted(&rule.verify), reason);
        ExpectedDigests::default()
    })
}

fn is_about_one_url(rule: &RuleConfig) -> bool {
    let is_one = |globs: &[String]| match globs {
        [only] => !only.contains(['*', '?', '[', '{']),
        _ => false,
    };
    is_one(&rule.host) && is_one(&rule.path)
}

fn parse(written: &str) -> Result<ExpectedDigests, &'static str> {
    const REASON: &str = "not a digest; write \"sha256:\" and 64 hex digits, or \"md5:\" and 32";
    let mut digests = ExpectedDigests::default();
    for word in written.split_ascii_whitespace() {
        let (kind, hex) = word.split_once(':').ok_or(REASON)?;
        let is_second = match kind {
            "sha256" => digests.sha256.replace(bytes(hex).ok_or(REASON)?).is_some(),
            "md5" => digests.md5.replace(bytes(hex).ok_or(REASON)?).is_some(),
            _ => return Err(REASON),
        };
        if is_second {
            return Err("a file has one digest of each kind");
        }
    }
    if digests.is_empty() {
        return Err(REASON);
    }
    Ok(digests)
}

/// Exactly `N` bytes in hex.
fn bytes<const N: usize>(hex: &str) -> Option<[u8; N]> {
    if hex.len() != N * 2 || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (index, byte) in bytes.iter_mut().enumerate() {
        let digits = hex.get(index * 2..index * 2 + 2)?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_read_in_hex() {
        let (sha256, md5) = ("0A".repeat(32), "ff".repeat(16));
        let both = parse(&format!("sha256:{sha256}  md5:{md5}")).unwrap();
        assert_eq!(both.sha256, Some([0x0a; 32]));
        assert_eq!(both.md5, Some([0xff; 16]));
        assert_eq!(parse(&format!("md5:{md5}")).unwrap().sha256, None);
        for wrong in [
            String::new(),
            sha256.clone(),
            format!("sha256:{md5}"),
            format!("sha1:{}", "00".repeat(20)),
            format!("sha256:{}é", "0".repeat(62)),
            format!("md5:{}", "+f".repeat(16)),
            format!("md5:{md5} md5:{md5}"),
            format!("md5:{md5},md5:{md5}"),
        ] {
            assert!(parse(&wrong).is_err(), "{wrong:?}");
        }
    }
}
