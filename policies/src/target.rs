//! What was asked for: request targets in every form, parsed into one normal form.
//!
//! Invariants: a [`Target`] is always normal (scheme and host lower-case, IDN as punycode, no trailing dot, no
//! default port written, path starts with `/`, dot-segments resolved once, no fragment, no userinfo, only visible
//! ASCII), so that policy, key and upstream read the same thing. The query is kept byte for byte; in the path, escapes
//! of unreserved characters are decoded and all other escapes stay as they were written.
//!
//! Reading order: this vocabulary → `host` and `path` (the normal form) → `ask` (which form a request target has).

mod ask;
mod host;
mod path;
#[cfg(test)]
mod tests;

pub use ask::ask;
pub use host::{host_is_valid, normal_host};

use path::{
    AboveRoot, check_no_escaped_controls, check_visible, hides_dot_dot, normal_path_and_query,
};
use std::fmt;

/// The schemes Weir knows how to name. `Ftp` is named here and served later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
    /// `ftp`
    Ftp,
}

/// A resource on an upstream, in normal form. The only constructor parses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    scheme: Scheme,
    host: String,
    port: u16,
    path_and_query: String,
}

/// Why a target was not understood. The status belongs to the client's error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// 400: not a URL that can be read one way only.
    #[error("malformed target: {0}")]
    Malformed(&'static str),
    /// 501: a scheme nobody here serves.
    #[error("scheme {0:?} is not served")]
    Scheme(String),
    /// 414: longer than the limit.
    #[error("target longer than {0} bytes")]
    TooLong(usize),
}

/// The longest request target, bytes.
pub const TARGET_BYTES_MAX: usize = 16 * 1024;

/// How the client asked. Also a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// `GET http://h/p`
    Forward,
    /// `GET /download/https://h/p`
    Download,
    /// `GET /https://h/p` or `/https/h/p`
    Path,
    /// `GET /debian/…` of a `[[mirror]]`
    Mirror,
}

/// A `[[mirror]]`: a path prefix and the upstream bases behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// Prefix with leading and trailing `/`, e.g. `/debian/`.
    pub path: String,
    /// Tried in order; never empty.
    pub upstreams: Vec<Target>,
    /// The permanent identity that keys are made of; by default the first upstream.
    pub key: Target,
    /// Weir acts for this origin: CDN-Cache-Control is meant for it (RFC 9213).
    pub cdn: bool,
}

/// Which forms this gateway answers.
#[derive(Debug, Clone, Default)]
pub struct Forms {
    /// `/download/`, `/https://…`, `/https/…` are served.
    pub path_forms: bool,
    /// Longest prefix wins.
    pub mirrors: Vec<Mirror>,
}

/// One request target, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Something an upstream has.
    Resource(Resource),
    /// A page of the gateway itself.
    Own(OwnPage),
    /// `CONNECT host:port`: host normalised, port 1..=65535.
    Tunnel {
        /// Normalised host.
        host: String,
        /// Port.
        port: u16,
    },
    /// `OPTIONS *`
    ServerWide,
}

/// A resource with every place it can be had from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// How it was asked for.
    pub form: Form,
    /// Its identity: what the key is made of.
    pub target: Target,
    /// Where to fetch it, in order; never empty. For all forms but mirrors: just `target`.
    pub upstreams: Vec<Target>,
    /// The URL as the client wrote it, for logs and the object's header: without the gateway's own prefix and without
    /// userinfo. Of a mirror, which has no URL of its own, the request target.
    pub as_asked: String,
    /// Weir acts for the origin: only ever so for a mirror that says it.
    pub cdn: bool,
}

/// Pages that Weir answers itself on the proxy port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnPage {
    /// `GET /`
    Welcome,
    /// `GET /download/` without a URL
    EmptyDownload,
    /// Nothing of ours and no mirror: 404.
    Unknown,
}

impl Scheme {
    /// `http`, `https` or `ftp`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Ftp => "ftp",
        }
    }

    /// 80, 443 or 21.
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Ftp => 21,
        }
    }
}

impl Form {
    /// The word used in logs, metrics and rules.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Download => "download",
            Self::Path => "path",
            Self::Mirror => "mirror",
        }
    }
}

impl Target {
    /// Parses an absolute URL (`scheme://authority/path?query`) into normal form.
    ///
    /// # Errors
    /// [`TargetError`] for anything that two readers could read in two ways.
    pub fn parse(url: &str) -> Result<Self, TargetError> {
        let (scheme, rest) = split_scheme(url)?;
        let rest = rest
            .strip_prefix("//")
            .ok_or(TargetError::Malformed("no // behind the scheme"))?;
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let authority = host::authority(drop_userinfo(scheme, authority)?)?;
        let path_and_query = normal_path_and_query(behind, AboveRoot::Stay)?;
        Self::checked(scheme, authority, path_and_query)
    }

    /// This base with the remainder of a request path (no leading `/`; may carry a query) behind it.
    ///
    /// # Errors
    /// [`TargetError`] when the joined URL is not readable one way only, or climbs out of the base by dot-segments.
    pub fn join(&self, rest: &str) -> Result<Self, TargetError> {
        if self.path_and_query.contains('?') {
            return Err(TargetError::Malformed("a mirror's base has a query"));
        }
        let below = normal_path_and_query(&format!("/{rest}"), AboveRoot::Refuse)?;
        // An upstream that decodes %2F would otherwise serve what lies beside the base.
        if hides_dot_dot(below.split('?').next().unwrap_or_default()) {
            return Err(TargetError::Malformed(
                "escaped separators climb out of the base",
            ));
        }
        let base = self.path().strip_suffix('/').unwrap_or(self.path());
        let authority = host::Authority {
            host: self.host.clone(),
            port: Some(self.port),
        };
        Self::checked(self.scheme, authority, format!("{base}{below}"))
    }

    /// The last checks, shared by every way to make a target.
    fn checked(
        scheme: Scheme,
        authority: host::Authority,
        path_and_query: String,
    ) -> Result<Self, TargetError> {
        if path_and_query.len() > TARGET_BYTES_MAX {
            return Err(TargetError::TooLong(TARGET_BYTES_MAX));
        }
        if scheme == Scheme::Ftp {
            check_no_escaped_controls(&path_and_query)?;
        }
        let port = authority.port.unwrap_or(scheme.default_port());
        Ok(Self {
            scheme,
            host: authority.host,
            port,
            path_and_query,
        })
    }

    /// Scheme.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Host, lower-case; an IPv6 literal keeps its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Port, the scheme's default where none was written.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The origin-form request target: path with `?query` where there is one (RFC 9112 §3.2.1).
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        &self.path_and_query
    }

    /// Path without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path_and_query
            .split_once('?')
            .map_or(self.path_and_query.as_str(), |(path, _)| path)
    }

    /// The value of `Host`: host, and `:port` unless it is the scheme's default (RFC 9112 §3.2).
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}{}",
            self.scheme.as_str(),
            self.authority(),
            self.path_and_query
        )
    }
}

/// The longest scheme repeated in an error, bytes.
const SCHEME_BYTES_MAX: usize = 32;

/// Splits behind the colon of the scheme (RFC 3986 §3.1).
fn split_scheme(url: &str) -> Result<(Scheme, &str), TargetError> {
    let (name, rest) = url
        .split_once(':')
        .ok_or(TargetError::Malformed("no scheme"))?;
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    if !name.starts_with(|first: char| first.is_ascii_alphabetic()) || !name.bytes().all(letters) {
        return Err(TargetError::Malformed("no scheme"));
    }
    let name = name.to_ascii_lowercase();
    let scheme = match name.as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        "ftp" => Scheme::Ftp,
        // `example.org:443` is an authority, not a scheme.
        _ if !rest.starts_with('/') => return Err(TargetError::Malformed("no scheme")),
        _ => {
            return Err(TargetError::Scheme(
                name.chars().take(SCHEME_BYTES_MAX).collect(),
            ));
        }
    };
    Ok((scheme, rest))
}

/// RFC 9110 §4.2.4: userinfo in http and https is refused; of ftp it is dropped, for it never belongs to a key.
fn drop_userinfo(scheme: Scheme, authority: &str) -> Result<&str, TargetError> {
    let Some((userinfo, host)) = authority.rsplit_once('@') else {
        return Ok(authority);
    };
    if scheme != Scheme::Ftp || userinfo.contains('@') {
        return Err(TargetError::Malformed("userinfo in a URL"));
    }
    check_visible(userinfo)?;
    Ok(host)
}
