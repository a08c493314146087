//! `host`, `path` and `extension` of a `[[rule]]`: what is written as if it could match and never does is refused with
//! the words for what to write instead. A rule that is silently dead is found out when somebody needs it.
//!
//! Deliberately absent: the syntax of globs, which policies know.

use std::net::Ipv6Addr;

/// A glob for hosts. What stands beside a host in a URL belongs to other keys, or to none.
pub(super) fn parse_host(written: &str) -> Result<String, &'static str> {
    if let Some(address) = ipv6(written) {
        // Brackets are part of such a host, and a class of letters in a glob.
        return Ok(format!("[[]{address}[]]"));
    }
    if written.contains('/') {
        return Err(
            "matches no host; write it without scheme and path, like \"builds.example.org\": for those there \
             are keys of their own",
        );
    }
    if has_port(written) {
        return Err(
            "matches no host; write it without a port, like \"builds.example.org\": a rule is for all ports",
        );
    }
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'@';
    if written.is_empty() || written.ends_with('.') || !written.bytes().all(fits) {
        return Err(
            "matches no host; write one like \"builds.example.org\", \"*.example.org\", or \
             \"xn--bcher-kva.example\" for an international name",
        );
    }
    Ok(written.to_owned())
}

/// An address, with or without the brackets that it has in a URL.
fn ipv6(written: &str) -> Option<Ipv6Addr> {
    let bracketed = written.strip_prefix('[');
    let inner = bracketed.and_then(|rest| rest.strip_suffix(']'));
    inner.unwrap_or(written).parse().ok()
}

/// A colon, and behind it a port or a wildcard for one. IPv6 addresses without wildcards were taken before.
fn has_port(written: &str) -> bool {
    let port = written.rsplit_once(':').map(|(_, port)| port);
    port.is_some_and(|port| port == "*" || port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A glob for paths: those begin with a slash and have no query.
pub(super) fn parse_path(written: &str) -> Result<String, &'static str> {
    // Alternatives, `{/a,/b}`, may begin with slashes of their own.
    if !written.starts_with(['/', '*', '{']) {
        return Err(
            "matches no path; begin it with \"/\", or with \"**\" for anything before it, like \"/nightly/**\" \
             or \"**/repodata/*\"",
        );
    }
    if written.contains(['?', '#']) {
        return Err(
            "paths are matched without the query and without a fragment; write the path alone, with \"*\" where \
             letters differ",
        );
    }
    if !written.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(
            "matches no path; write what is no visible ASCII letter as URLs do, like \"%20\" for a space",
        );
    }
    Ok(written.to_owned())
}

/// Takes `.tar.gz` as well as `tar.gz`.
pub(super) fn parse_extension(written: &str) -> Result<String, &'static str> {
    let bare = written.strip_prefix('.').unwrap_or(written);
    let fits = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'*' | b'?');
    if bare.is_empty() || bare.ends_with('.') || !bare.bytes().all(fits) {
        return Err("not an extension; write it without dot and star, like \"tar.gz\"");
    }
    Ok(bare.to_owned())
}
