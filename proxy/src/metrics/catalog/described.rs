//! What a metric is: its name, kind, unit, labels and sentence.

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only grows; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations in buckets.
    Histogram,
    /// Always 1; says something by its labels. Its name ends in `_info`.
    Info,
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Described {
    /// As queries write it.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// What one of it is, in words: `requests`, `seconds`, `bytes`.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the test of docs/METRICS.md reads it")
    )]
    pub(crate) unit: &'static str,
    /// Names of its labels.
    pub(crate) labels: &'static [&'static str],
    /// A sentence without its full stop.
    pub(crate) help: &'static str,
}

impl Kind {
    /// The word of the `TYPE` line.
    #[cfg(test)]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }

    /// What the encoder appends to the family's name by itself.
    fn suffix(self) -> &'static str {
        match self {
            Self::Counter => "_total",
            Self::Info => "_info",
            Self::Gauge | Self::Histogram => "",
        }
    }
}

impl Described {
    /// The name in the `TYPE` line.
    pub(crate) fn family(&self) -> &'static str {
        self.name
            .strip_suffix(self.kind.suffix())
            .unwrap_or(self.name)
    }
}

/// A metric that only grows.
pub(super) const fn counter(
    name: &'static str,
    unit: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Described {
    Described {
        name,
        kind: Kind::Counter,
        unit,
        labels,
        help,
    }
}

/// A metric that goes up and down.
pub(super) const fn gauge(
    name: &'static str,
    unit: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Described {
    Described {
        name,
        kind: Kind::Gauge,
        unit,
        labels,
        help,
    }
}
