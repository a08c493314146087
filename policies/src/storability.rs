//! Whether a response may be stored by a shared cache (RFC 9111 §3) and by this one.

#[cfg(test)]
mod tests;

use crate::cache_control::{RequestDirectives, ResponseDirectives};
use crate::credentials;
use crate::freshness::{self, Adjust, Exchange, is_heuristically_cacheable};
use crate::hop;
use crate::vary::Vary;
use http::header::{AGE, COOKIE, ETAG, LAST_MODIFIED, SET_COOKIE};
use http::{HeaderMap, Method, StatusCode};

/// The largest head that is stored, bytes of names and values with their separators: the limit on a response head.
pub const STORED_HEAD_BYTES_MAX: usize = 64 * 1024;

/// The answer, with the reason that log, metric and Cache-Status share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Storability {
    /// May be stored and shared.
    Store,
    /// May not.
    Refuse(NotStored),
}

/// Why a response was not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotStored {
    /// Only GET responses are stored.
    Method,
    /// Not a final status we store: 200 203 204 301 308 404 410, others only with explicit freshness (never 206, 304).
    Status,
    /// `no-store` in request or response, or must-understand with an unknown status.
    NoStore,
    /// `private`.
    Private,
    /// Authorization or another credential without public, s-maxage or must-revalidate (§3.5).
    Authorization,
    /// Set-Cookie without explicit shared freshness (`public` or `s-maxage`).
    SetCookie,
    /// `Vary: *`.
    VaryStar,
    /// Nothing says how long it would be fresh and no validator could ever revive it.
    NoFreshness,
    /// Request had a Cookie and the response does not say it may be shared.
    Cookie,
    /// Its end is only known by the closing of the connection, which proves nothing (RFC 9112 §8).
    Framing,
    /// A rule said `store = "never"`.
    Rule,
    /// A header block too large to keep.
    HeadTooLarge,
}

impl NotStored {
    /// The word for log, metric and Cache-Status detail.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Status => "status",
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::Authorization => "authorization",
            Self::SetCookie => "set-cookie",
            Self::VaryStar => "vary-star",
            Self::NoFreshness => "no-freshness",
            Self::Cookie => "cookie",
            Self::Framing => "framing",
            Self::Rule => "rule",
            Self::HeadTooLarge => "head-too-large",
        }
    }

    /// The words for people, to stand behind `not stored:`.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Method => "only responses to GET are stored",
            Self::Status => "its status is not stored without explicit freshness",
            Self::NoStore => "Cache-Control: no-store, of the response or of the request",
            Self::Private => "Cache-Control: private",
            Self::Authorization => "the request had credentials, and nothing says it may be shared",
            Self::SetCookie => "it sets a cookie, and nothing says it may be shared",
            Self::VaryStar => "Vary: *",
            Self::NoFreshness => "it is never fresh, and has no validator or is an error",
            Self::Cookie => "the request had a cookie, and nothing says it may be shared",
            Self::Framing => "only the closing of the connection says where it ends",
            Self::Rule => "a rule forbids it",
            Self::HeadTooLarge => "its fields are too large",
        }
    }
}

/// Judges one exchange. What `adjust` overrides is set aside in the response; the client's own no-store never is.
///
/// A 206 is refused. As a part to be combined with others it is judged as the 200 that it is a part of: by a caller who
/// has read its Content-Range and its strong validator.
#[must_use]
pub fn judge(
    method: &Method,
    request: &HeaderMap,
    status: StatusCode,
    response: &HeaderMap,
    exchange: Exchange,
    adjust: Adjust,
) -> Storability {
    let directives = freshness::directives(response, adjust);
    let reason = if method != Method::GET {
        Some(NotStored::Method)
    } else {
        by_status(status, response, &directives, exchange)
            .or_else(|| by_directives(request, status, &directives))
            .or_else(|| by_credentials(request, response, &directives, adjust))
            .or_else(|| by_use(status, response, &directives, exchange, adjust))
    };
    reason.map_or(Storability::Store, Storability::Refuse)
}

/// The fields of a response that go into the store (RFC 9111 §3.1): no hop-by-hop fields, no fields that
/// `private="…"` or `no-cache="…"` name, no second Age (the first is the one that counts, §5.1), and no Set-Cookie: even
/// where the origin lets the response be shared, one client's cookie is not handed to the next.
#[must_use]
pub fn storable_fields(response: &HeaderMap) -> HeaderMap {
    let mut fields = response.clone();
    hop::strip(&mut fields);
    // Whichever of the two counts: what either keeps from other clients is kept from them.
    let targeted = ResponseDirectives::of_cdn(response);
    for directives in targeted
        .into_iter()
        .chain([ResponseDirectives::of(response)])
    {
        let named = directives.private_fields.iter();
        for name in named.chain(&directives.no_cache_fields) {
            fields.remove(name.as_str());
        }
    }
    fields.remove(SET_COOKIE);
    if let Some(age) = fields.get(AGE).cloned() {
        fields.insert(AGE, age);
    }
    fields
}

/// A status that is understood, and for those that nobody may guess about, freshness in so many words: an error page
/// that a hostile request provoked must not meet the next client.
fn by_status(
    status: StatusCode,
    response: &HeaderMap,
    directives: &ResponseDirectives,
    exchange: Exchange,
) -> Option<NotStored> {
    if !is_storable_status(status) {
        return Some(NotStored::Status);
    }
    let explicit = freshness::explicit(response, directives, exchange);
    let fresh = explicit.is_some_and(|lifetime| lifetime.seconds > 0);
    (!fresh && !is_heuristically_cacheable(status)).then_some(NotStored::Status)
}

/// Final, and neither a part (206) nor news about something stored (304).
fn is_storable_status(status: StatusCode) -> bool {
    (200..600).contains(&status.as_u16()) && !matches!(status.as_u16(), 206 | 304)
}

/// The client's own no-store, and what the response forbids.
fn by_directives(
    request: &HeaderMap,
    status: StatusCode,
    directives: &ResponseDirectives,
) -> Option<NotStored> {
    let asked = RequestDirectives::of(request).no_store;
    asked
        .then_some(NotStored::NoStore)
        .or_else(|| forbidden(status, directives))
}

/// What a response forbids a shared cache outright, to store it and so to use what is stored: no-store and private.
/// must-understand takes no-store back where the status is understood (§5.2.2.3).
pub(crate) fn forbidden(status: StatusCode, directives: &ResponseDirectives) -> Option<NotStored> {
    let understood = is_heuristically_cacheable(status);
    let no_store = match (directives.must_understand, understood) {
        (true, true) => false,
        (true, false) => true,
        (false, _) => directives.no_store,
    };
    if no_store {
        return Some(NotStored::NoStore);
    }
    directives.private.then_some(NotStored::Private)
}

/// §3.5, and the same care for cookies, which the standard leaves to the origin.
fn by_credentials(
    request: &HeaderMap,
    response: &HeaderMap,
    directives: &ResponseDirectives,
    adjust: Adjust,
) -> Option<NotStored> {
    let shared = directives.public || directives.s_maxage.is_some();
    if credentials::are_in(request) && !shared && !directives.must_revalidate {
        return Some(NotStored::Authorization);
    }
    let named = directives
        .private_fields
        .iter()
        .chain(&directives.no_cache_fields);
    let kept_out =
        named.into_iter().any(|name| name == SET_COOKIE.as_str()) || adjust.overrides.set_cookie;
    if response.contains_key(SET_COOKIE) && !kept_out && !shared {
        return Some(NotStored::SetCookie);
    }
    (request.contains_key(COOKIE) && !shared).then_some(NotStored::Cookie)
}

/// Whether keeping it could ever serve anybody.
fn by_use(
    status: StatusCode,
    response: &HeaderMap,
    directives: &ResponseDirectives,
    exchange: Exchange,
    adjust: Adjust,
) -> Option<NotStored> {
    if Vary::of(response) == Vary::Star {
        return Some(NotStored::VaryStar);
    }
    let has_validator = response.contains_key(ETAG) || response.contains_key(LAST_MODIFIED);
    let lifetime = freshness::lifetime(status, response, exchange, adjust);
    let servable = lifetime.seconds > 0 && !directives.no_cache;
    if !servable && !has_validator {
        return Some(NotStored::NoFreshness);
    }
    (head_bytes(response) > STORED_HEAD_BYTES_MAX).then_some(NotStored::HeadTooLarge)
}

/// `name: value CR LF` of every line.
fn head_bytes(headers: &HeaderMap) -> usize {
    let lines = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4);
    lines.fold(0, usize::saturating_add)
}
