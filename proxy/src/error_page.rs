//! What a client reads when Weir cannot give it what it asked for: the cause, and what to do.
//!
//! Plain text for people and for tools that print what they get; RFC 9457 problem details when Accept asks for them.
//! Never HTML: nothing that a client sent can then become markup, and `nosniff` keeps it so.
//!
//! Invariants: control bytes never leave unescaped; the text is bounded; the table below is the only place that knows
//! reason phrases and advice.

use http::HeaderValue;
use std::time::SystemTime;

/// Longest cause that is shown, characters: it may quote what the client sent.
const TEXT_CHARACTERS_MAX: usize = 600;

/// An error, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ErrorPage {
    /// Status.
    pub(crate) status: u16,
    /// Value of Content-Type.
    pub(crate) media_type: &'static str,
    /// The body, bounded, free of control characters other than line feeds.
    pub(crate) body: String,
}

/// Why there is an error page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cause<'a> {
    what: &'a str,
    advice: Option<&'static str>,
}

impl<'a> Cause<'a> {
    /// The cause in a sentence, where the status alone does not tell what to do.
    pub(crate) const fn with_advice(what: &'a str, advice: &'static str) -> Self {
        Self {
            what,
            advice: Some(advice),
        }
    }
}

impl<'a> From<&'a str> for Cause<'a> {
    fn from(what: &'a str) -> Self {
        Self { what, advice: None }
    }
}

/// What to do about a refusal that the operator has decided, whatever its status.
pub(crate) const ASK_THE_OPERATOR: &str =
    "The configuration of this gateway does not allow it; ask its operator.";

/// Fields that stand on every error page beside Content-Type and Content-Length.
pub(crate) const FIELDS: [(&str, &str); 3] = [
    ("X-Content-Type-Options", "nosniff"),
    // For a browser that takes the text for markup all the same.
    ("Content-Security-Policy", "default-src 'none'"),
    ("Cache-Control", "no-store"),
];

/// Builds the page. A cause without advice of its own gets that of the status.
pub(crate) fn error_page<'a>(
    status: u16,
    cause: impl Into<Cause<'a>>,
    accept: Option<&HeaderValue>,
    node: &str,
) -> ErrorPage {
    let Cause { what, advice } = cause.into();
    let (title, usual_advice) = entry(status);
    let advice = advice.unwrap_or(usual_advice);
    if accept.is_some_and(|accept| names_media_type(accept, &JSON)) {
        let mut body = String::from("{");
        body.push_str(&format!("\"type\":\"about:blank\",\"status\":{status}"));
        for (name, text) in [
            ("title", title),
            ("detail", what),
            ("advice", advice),
            ("node", node),
        ] {
            body.push_str(&format!(",\"{name}\":\"{}\"", escape_json(text)));
        }
        body.push_str("}\n");
        return ErrorPage {
            status,
            media_type: "application/problem+json",
            body,
        };
    }
    let body = format!(
        "{status} {title}\n\n{}\n{}\n\n-- weir on {}\n",
        escape(what),
        escape(advice),
        escape(node)
    );
    ErrorPage {
        status,
        media_type: "text/plain; charset=utf-8",
        body,
    }
}

/// The reason phrase of a status, for status lines.
pub(crate) fn reason_phrase(status: u16) -> &'static str {
    entry(status).0
}

/// Seconds after which the same request may succeed, where the status promises that.
pub(crate) fn retry_after_seconds(status: u16) -> Option<u32> {
    match status {
        429 | 503 => Some(10),
        _ => None,
    }
}

impl ErrorPage {
    /// The whole HTTP/1.1 response for a connection that closes behind it.
    pub(crate) fn to_closing_response(&self, now: SystemTime) -> Vec<u8> {
        let mut head = format!(
            "HTTP/1.1 {} {}\r\nDate: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n",
            self.status,
            reason_phrase(self.status),
            httpdate::fmt_http_date(now),
            self.media_type,
            self.body.len(),
        );
        for (name, value) in FIELDS {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(seconds) = retry_after_seconds(self.status) {
            head.push_str(&format!("Retry-After: {seconds}\r\n"));
        }
        head.push_str("\r\n");
        head.push_str(&self.body);
        head.into_bytes()
    }
}

/// Reason phrase and advice of every status that Weir answers with.
fn entry(status: u16) -> (&'static str, &'static str) {
    match status {
        400 => (
            "Bad Request",
            "Check the request: its URL, its header and its body.",
        ),
        403 => ("Forbidden", ASK_THE_OPERATOR),
        404 => ("Not Found", "Check the URL."),
        405 => ("Method Not Allowed", "Use GET or HEAD."),
        407 => (
            "Proxy Authentication Required",
            "Give the proxy a user name and password.",
        ),
        408 => (
            "Request Timeout",
            "Send the whole request without long pauses.",
        ),
        410 => ("Gone", "The upstream says that it is gone for good."),
        413 => ("Content Too Large", "Send a smaller request body."),
        414 => ("URI Too Long", "Use a shorter URL."),
        416 => (
            "Range Not Satisfiable",
            "Ask for a range inside the object.",
        ),
        417 => ("Expectation Failed", "Send the request without Expect."),
        429 => (
            "Too Many Requests",
            "Use fewer connections at a time, or try again later.",
        ),
        431 => (
            "Request Header Fields Too Large",
            "Send fewer or shorter header fields.",
        ),
        501 => ("Not Implemented", "This gateway does not serve that."),
        502 => (
            "Bad Gateway",
            "The upstream did not answer as it should; try again, or ask its operator.",
        ),
        503 => ("Service Unavailable", "Try again in a moment."),
        504 => (
            "Gateway Timeout",
            "The upstream did not answer in time; try again later.",
        ),
        505 => ("HTTP Version Not Supported", "Use HTTP/1.1."),
        508 => (
            "Loop Detected",
            "The request came back to this gateway; check the proxy settings along its way.",
        ),
        status if status >= 500 => (
            "Internal Server Error",
            "Tell the operator of this gateway.",
        ),
        _ => ("Error", "Check the request."),
    }
}

/// What is answered with problem details.
const JSON: [&str; 2] = ["application/problem+json", "application/json"];

/// Whether Accept names one of these types on purpose; wildcards do not.
pub(crate) fn names_media_type(accept: &HeaderValue, types: &[&str]) -> bool {
    let Ok(accept) = accept.to_str() else {
        return false;
    };
    accept.split(',').any(|member| {
        let mut parts = member.split(';').map(str::trim);
        let named = parts.next().unwrap_or_default();
        let is_one = types.iter().any(|known| known.eq_ignore_ascii_case(named));
        is_one && !parts.any(is_zero_quality)
    })
}

/// `q=0`, `q=0.0` … : not acceptable (RFC 9110 §12.4.2).
fn is_zero_quality(parameter: &str) -> bool {
    parameter
        .split_once('=')
        .is_some_and(|(name, value)| name.eq_ignore_ascii_case("q") && value.parse() == Ok(0.0_f32))
}

/// Text without control characters, cut where it is too long.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars().take(TEXT_CHARACTERS_MAX) {
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    if text.chars().nth(TEXT_CHARACTERS_MAX).is_some() {
        out.push('…');
    }
    out
}

/// The inside of a JSON string (RFC 8259 §7).
fn escape_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars().take(TEXT_CHARACTERS_MAX) {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            control if control.is_control() => {
                out.push_str(&format!("\\u{:04x}", u32::from(control)));
            }
            plain => out.push(plain),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(what: &str, accept: &str) -> ErrorPage {
        let accept = HeaderValue::from_str(accept).unwrap();
        error_page(502, what, Some(&accept), "node-1")
    }

    #[test]
    fn text_names_the_cause_and_what_to_do() {
        let page = error_page(403, "the address is private", None, "n");
        assert_eq!(page.media_type, "text/plain; charset=utf-8");
        assert_eq!(
            page.body,
            "403 Forbidden\n\nthe address is private\n\
             The configuration of this gateway does not allow it; ask its operator.\n\n-- weir on n\n"
        );
    }

    #[test]
    fn a_cause_may_know_better_what_to_do_than_its_status() {
        let cause = Cause::with_advice("nobody was asked", "Ask for it.");
        for accept in ["*/*", "application/problem+json"] {
            let accept = HeaderValue::from_static(accept);
            let body = error_page(504, cause, Some(&accept), "n").body;
            assert!(body.contains("Ask for it."), "{body}");
            assert!(!body.contains("in time"), "{body}");
        }
    }

    #[test]
    fn row_115_control_bytes_are_escaped() {
        let text = page("a\r\nb\u{1b}[31m", "*/*").body;
        assert!(text.contains(r"a\r\nb\u{1b}[31m"), "{text:?}");
        let json = page("say \"hi\"\\\n\u{7f}", "application/json").body;
        assert!(
            json.contains(r#""detail":"say \"hi\"\\\u000a\u007f""#),
            "{json}"
        );
    }

    #[test]
    fn problem_details_only_for_those_who_ask() {
        for (accept, media_type) in [
            ("application/problem+json", "application/problem+json"),
            (
                "text/html, application/json;q=0.5",
                "application/problem+json",
            ),
            (
                "application/json;q=0, text/plain",
                "text/plain; charset=utf-8",
            ),
            ("*/*", "text/plain; charset=utf-8"),
            ("application/*", "text/plain; charset=utf-8"),
            ("", "text/plain; charset=utf-8"),
        ] {
            assert_eq!(page("x", accept).media_type, media_type, "{accept:?}");
        }
    }

    #[test]
    fn quoted_input_is_bounded() {
        let page = error_page(400, "x".repeat(100_000).as_str(), None, "n");
        assert!(
            page.body.len() < 2 * TEXT_CHARACTERS_MAX,
            "{}",
            page.body.len()
        );
    }

    #[test]
    fn a_response_is_whole_and_says_that_it_closes() {
        let page = error_page(429, "too many", None, "n");
        let response = page.to_closing_response(SystemTime::UNIX_EPOCH);
        let response = String::from_utf8(response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with("HTTP/1.1 429 Too Many Requests\r\n"),
            "{head}"
        );
        assert!(head.contains("\r\nConnection: close\r\n"), "{head}");
        assert!(head.contains("\r\nRetry-After: 10"), "{head}");
        assert!(
            head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())),
            "{head}"
        );
        assert_eq!(body, page.body);
    }
}
