//! `headers` of a `[[rule]]`: fields that requests to the upstream get, or lose.
//!
//! Fields that belong to the connection, the framing, the choice of bytes or the detection of loops are Weir's own: a
//! rule that set them could make two readers see two different messages. Others have no place in a fetch for everybody
//! and would be without effect. Values may be secrets: no message repeats one.

use super::super::check::{Section, quoted};
use http::{HeaderName, HeaderValue};
use std::collections::BTreeMap;

/// Most fields of one rule.
const FIELDS_MAX: usize = 32;

/// Fields that a rule cannot set, besides those that begin with `if-` and `proxy-`.
const REFUSED: [&str; 16] = [
    // Of one connection (RFC 9110 §7.6.1).
    "connection",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    // Framing and where the message goes.
    "content-length",
    "content-range",
    "expect",
    "host",
    // Which bytes.
    "range",
    // Loops.
    "cdn-loop",
    "max-forwards",
    "via",
    // Becomes HTTP_PROXY in a CGI environment.
    "proxy",
];

/// Fields of one client that no fetch for everybody carries, each with the reason why none can be set.
const PERSONAL: [(&str, &str); 4] = [
    ("cache-control", DIRECTIVES),
    ("cookie", COOKIES),
    ("cookie2", COOKIES),
    ("pragma", DIRECTIVES),
];
const DIRECTIVES: &str = "it is never sent for everybody; how long things are kept is said by ttl_default, ttl_min \
     and ttl_max";
const COOKIES: &str = "a cookie is one client's and never sent for everybody; send Authorization or the key of an \
     API instead";

/// Checks the table; `None` for a field that is removed.
pub(super) fn check(
    written: &BTreeMap<String, String>,
    section: &mut Section<'_, '_>,
) -> Vec<(HeaderName, Option<HeaderValue>)> {
    if written.len() > FIELDS_MAX {
        section.refuse(
            "headers",
            written.len(),
            format!("at most {FIELDS_MAX} fields"),
        );
    }
    let mut fields: Vec<(HeaderName, Option<HeaderValue>)> = Vec::with_capacity(written.len());
    for (name, value) in written {
        match field(name, value) {
            Ok((name, _)) if fields.iter().any(|(earlier, _)| *earlier == name) => {
                let reason = "is there twice; case does not tell fields apart";
                section.refuse("headers", quoted(name), reason);
            }
            Ok(field) => fields.push(field),
            Err(reason) => section.refuse("headers", quoted(name), reason),
        }
    }
    fields
}

fn field(name: &str, value: &str) -> Result<(HeaderName, Option<HeaderValue>), &'static str> {
    let name = HeaderName::try_from(name).map_err(|_| "not the name of a field")?;
    let text = name.as_str();
    if REFUSED.contains(&text) || text.starts_with("if-") || text.starts_with("proxy-") {
        return Err("this field is Weir's own and cannot be set by a rule");
    }
    if let Some((_, reason)) = PERSONAL.iter().find(|(personal, _)| *personal == text) {
        return Err(reason);
    }
    if value.is_empty() {
        return Ok((name, None));
    }
    let mut value = HeaderValue::try_from(value)
        .map_err(|_| "its value is not the value of a field: visible characters and spaces only")?;
    value.set_sensitive(true);
    Ok((name, Some(value)))
}
