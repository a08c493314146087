//! What `GET /` says: text for tools, a small page for browsers.
//!
//! The page holds nothing that a client has sent, and neither styles nor scripts: the policy that it is sent with
//! allows none.

use crate::error_page::{FIELDS, names_media_type};
use http::HeaderValue;

/// The second sentence is the one that scripts for openEuler's cache-proxy look for.
const TEXT: &str = "Weir, a caching upstream proxy gateway.\n\
    Welcome to openEuler upstream cache proxy!\n\n\
    Use it as a proxy:      http_proxy=http://HOST:PORT wget http://host/file\n\
    or ask by path:         curl -O http://HOST:PORT/download/https://host/file\n";

/// The same in HTML.
const HTML: &str = "<!DOCTYPE html>\n\
    <html lang=\"en\">\n\
    <head><meta charset=\"utf-8\"><title>Weir</title></head>\n\
    <body>\n\
    <h1>Weir, a caching upstream proxy gateway.</h1>\n\
    <p>Welcome to openEuler upstream cache proxy!</p>\n\
    <p>Use it as a proxy:</p>\n\
    <pre>http_proxy=http://HOST:PORT wget http://host/file</pre>\n\
    <p>or ask by path:</p>\n\
    <pre>curl -O http://HOST:PORT/download/https://host/file</pre>\n\
    </body>\n\
    </html>\n";

/// Media type, body, and the fields beside them.
pub(super) fn welcome(
    accept: Option<&HeaderValue>,
) -> (&'static str, &'static str, Vec<(&'static str, String)>) {
    if accept.is_some_and(|accept| names_media_type(accept, &["text/html"])) {
        let fields = FIELDS.map(|(name, value)| (name, value.to_owned()));
        return ("text/html; charset=utf-8", HTML, fields.to_vec());
    }
    ("text/plain; charset=utf-8", TEXT, Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_get_a_page_and_tools_get_text() {
        let check = |accept: Option<&'static str>, media_type: &str| {
            let accept = accept.map(HeaderValue::from_static);
            let (named, body, fields) = welcome(accept.as_ref());
            assert_eq!(named, media_type, "{accept:?}");
            assert!(body.contains("Welcome to openEuler upstream cache proxy!"));
            let is_html = media_type.starts_with("text/html");
            assert_eq!(body.contains('<'), is_html, "{body}");
            let has = |name: &str| fields.iter().any(|(known, _)| *known == name);
            assert_eq!(has("X-Content-Type-Options"), is_html);
            assert_eq!(has("Content-Security-Policy"), is_html);
        };
        let (text, html) = ("text/plain; charset=utf-8", "text/html; charset=utf-8");
        check(None, text);
        check(Some("*/*"), text);
        check(Some("text/*"), text);
        check(Some("text/plain, text/html;q=0"), text);
        check(Some("text/html,application/xhtml+xml,*/*;q=0.8"), html);
        check(Some("Text/HTML"), html);
    }
}
