//! Label values of the metrics that are counted from records: closed sets, so that a counter for every value exists
//! from the start and finding it costs no lookup of text.

use weir_policies::outcome::Outcome;
use weir_policies::storability::NotStored;
use weir_policies::target::Form;

/// A closed set of label values.
pub(super) trait Label: Copy + PartialEq + 'static {
    /// Every value; those that share a label are listed once.
    const ALL: &'static [Self];

    /// The text of the label.
    fn as_str(self) -> &'static str;
}

/// How a request was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AskedForm(pub(super) Option<Form>);

impl Label for AskedForm {
    const ALL: &'static [Self] = &[
        Self(Some(Form::Forward)),
        Self(Some(Form::Download)),
        Self(Some(Form::Path)),
        Self(Some(Form::Mirror)),
        Self(None),
    ];

    /// `none`: not understood, a tunnel, or a page of the gateway itself.
    fn as_str(self) -> &'static str {
        self.0.map_or("none", Form::as_str)
    }
}

/// How it was answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered(pub(super) Outcome);

impl Label for Answered {
    const ALL: &'static [Self] = &[
        Self(Outcome::Hit),
        Self(Outcome::Joined),
        Self(Outcome::Miss),
        Self(Outcome::Stale),
        Self(Outcome::Revalidated),
        Self(Outcome::StaleWhileRevalidate),
        Self(Outcome::StaleIfError),
        Self(Outcome::Redirected),
        Self(Outcome::Uncached(NotStored::Method)),
        Self(Outcome::Bypass),
        Self(Outcome::Pass),
        Self(Outcome::Tunnel),
        Self(Outcome::Local),
        Self(Outcome::Purged),
        Self(Outcome::Refused),
        Self(Outcome::Failed),
        Self(Outcome::NotCached),
        Self(Outcome::Aborted),
    ];

    fn as_str(self) -> &'static str {
        self.0.as_str()
    }
}

/// Why a response was not stored is told by the log; the metric counts all of them as one result.
impl PartialEq for Answered {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(&self.0) == std::mem::discriminant(&other.0)
    }
}

/// Where body bytes were read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByteSource {
    /// A committed object.
    Store,
    /// A fill in progress, whoever started it.
    Flight,
    /// An upstream, for this client alone.
    Upstream,
    /// The gateway itself.
    Local,
}

impl ByteSource {
    /// The text of the label.
    pub(crate) fn as_text(self) -> &'static str {
        Label::as_str(self)
    }

    /// The source that an outcome implies. A new outcome stops here; it also belongs into [`Answered::ALL`].
    pub(crate) fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Hit
            | Outcome::Revalidated
            | Outcome::StaleWhileRevalidate
            | Outcome::StaleIfError => Self::Store,
            Outcome::Joined | Outcome::Miss | Outcome::Stale => Self::Flight,
            Outcome::Uncached(_) | Outcome::Bypass | Outcome::Pass | Outcome::Tunnel => {
                Self::Upstream
            }
            Outcome::Local
            | Outcome::Purged
            | Outcome::Redirected
            | Outcome::Refused
            | Outcome::Failed
            | Outcome::NotCached
            | Outcome::Aborted => Self::Local,
        }
    }
}

impl Label for ByteSource {
    const ALL: &'static [Self] = &[Self::Store, Self::Flight, Self::Upstream, Self::Local];

    fn as_str(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Flight => "flight",
            Self::Upstream => "upstream",
            Self::Local => "local",
        }
    }
}
