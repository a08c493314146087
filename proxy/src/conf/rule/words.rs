//! The words that keys of `[[rule]]` can have as values, and what each one means to policies.

use serde::{Deserialize, Serialize};
use weir_policies::effect::{MissMode, RangeMiss, StoreRule};
use weir_policies::freshness::Overrides;
use weir_policies::target::{Form, Scheme};

/// Values of `form`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FormWord {
    /// As a forward proxy.
    Forward,
    /// `/download/URL`
    Download,
    /// `/https/host/path`
    Path,
    /// A `[[mirror]]`.
    Mirror,
}

/// Values of `scheme`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SchemeWord {
    /// `http`
    Http,
    /// `https`
    Https,
    /// `ftp`
    Ftp,
}

/// Values of `store`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StoreWord {
    /// RFC 9111 decides.
    #[default]
    Standard,
    /// Never stored.
    Never,
    /// RFC 9111 decides, but for what `override` sets aside.
    Always,
}

/// Values of `override`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OverrideWord {
    /// Response `no-store`.
    NoStore,
    /// Response `no-cache`.
    NoCache,
    /// Response `private`.
    Private,
    /// Set-Cookie.
    SetCookie,
}

/// Values of `miss`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MissWord {
    /// The bytes.
    #[default]
    Stream,
    /// A redirect to the upstream.
    Redirect,
    /// The same, and a fill behind it.
    #[serde(rename = "redirect+fetch")]
    RedirectAndFetch,
}

/// Values of `range_miss`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RangeMissWord {
    /// The whole object is fetched.
    Whole,
    /// The range only.
    Part,
}

impl FormWord {
    pub(super) fn meaning(self) -> Form {
        match self {
            Self::Forward => Form::Forward,
            Self::Download => Form::Download,
            Self::Path => Form::Path,
            Self::Mirror => Form::Mirror,
        }
    }
}

impl SchemeWord {
    pub(super) fn meaning(self) -> Scheme {
        match self {
            Self::Http => Scheme::Http,
            Self::Https => Scheme::Https,
            Self::Ftp => Scheme::Ftp,
        }
    }
}

impl StoreWord {
    /// What `always` adds to the standard is in its overrides.
    pub(super) fn meaning(self) -> StoreRule {
        match self {
            Self::Standard | Self::Always => StoreRule::Standard,
            Self::Never => StoreRule::Never,
        }
    }
}

impl OverrideWord {
    pub(super) fn add_to(self, overrides: &mut Overrides) {
        match self {
            Self::NoStore => overrides.no_store = true,
            Self::NoCache => overrides.no_cache = true,
            Self::Private => overrides.private = true,
            Self::SetCookie => overrides.set_cookie = true,
        }
    }
}

impl MissWord {
    /// As it is written; a test keeps it so.
    pub(super) fn written(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Redirect => "redirect",
            Self::RedirectAndFetch => "redirect+fetch",
        }
    }

    pub(super) fn meaning(self) -> MissMode {
        match self {
            Self::Stream => MissMode::Stream,
            Self::Redirect => MissMode::Redirect,
            Self::RedirectAndFetch => MissMode::RedirectAndFetch,
        }
    }
}

impl RangeMissWord {
    pub(super) fn meaning(self) -> RangeMiss {
        match self {
            Self::Whole => RangeMiss::Whole,
            Self::Part => RangeMiss::Part,
        }
    }
}
