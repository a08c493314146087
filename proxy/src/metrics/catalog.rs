//! The list of all metrics: names (a contract with every dashboard), kinds, units, labels and a sentence each.
//!
//! A new metric is a variant of [`Collected`] with its description here, a row in `docs/METRICS.md`, and the line of
//! the [`Source`](super::Source) that reports it.

mod described;

pub(crate) use described::{Described, Kind};

use described::{counter, gauge};

pub(super) const BUILD_INFO: Described = Described {
    name: "weir_build_info",
    kind: Kind::Info,
    unit: "",
    labels: &["version"],
    help: "The version that is running",
};

pub(super) const REQUESTS: Described = Described {
    name: "weir_requests_total",
    kind: Kind::Counter,
    unit: "requests",
    labels: &["form", "result"],
    help: "Requests that have ended, by how they were asked and how they were answered",
};

pub(super) const REQUEST_DURATION: Described = Described {
    name: "weir_request_duration_seconds",
    kind: Kind::Histogram,
    unit: "seconds",
    labels: &[],
    help: "Time from a request's head to the last byte of its response, tunnels aside",
};

pub(super) const RESPONSE_BYTES: Described = Described {
    name: "weir_response_bytes_total",
    kind: Kind::Counter,
    unit: "bytes",
    labels: &["source"],
    help: "Body bytes sent to clients, by where they were read from, tunnels aside",
};

/// The metrics that are counted from records, and the one that never changes.
#[cfg(test)]
pub(super) const COUNTED_HERE: [Described; 4] =
    [BUILD_INFO, REQUESTS, REQUEST_DURATION, RESPONSE_BYTES];

/// The metrics that other rooms count and a [`Source`](super::Source) reports. In the order of the exposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Collected {
    ClientConnections,
    TunnelActive,
    TunnelBytes,
    UpstreamRequests,
    UpstreamErrors,
    UpstreamConnections,
    UpstreamRetries,
    FillActive,
    FillBytes,
    FillResumed,
    FillAbandoned,
    FillRetries,
    Revalidated,
    Invalidated,
    Conflicts,
    PartsCombined,
    StoreDigestMismatches,
    StoreStripeBytes,
    StoreComputedUnits,
    StoreRepairedShards,
    StoreContradictedShards,
    StoreLogBytes,
    StoreLogProblems,
    StoreBytes,
    StoreBudgetBytes,
    StoreObjects,
    StoreEvictedBytes,
    StorePurgedObjects,
    StoreBans,
    StoreCorruptBlocks,
    StoreUnderprotectedObjects,
    StoreEpoch,
    StoreDegraded,
    StoreFailed,
    DiskState,
    DiskErrors,
    DiskMissingShards,
    DiskRebuildDone,
    DiskRebuildExpected,
    DiskScrubDone,
    DiskScrubExpected,
    ScrubReadBytes,
    ScrubBadShards,
    BoundHits,
    Notifications,
    AccessLogErrors,
    Tasks,
    TaskPanics,
    Reloads,
    ReloadSucceeded,
    ReloadTime,
}

impl Collected {
    /// All of them.
    pub(crate) const ALL: [Self; 51] = [
        Self::ClientConnections,
        Self::TunnelActive,
        Self::TunnelBytes,
        Self::UpstreamRequests,
        Self::UpstreamErrors,
        Self::UpstreamConnections,
        Self::UpstreamRetries,
        Self::FillActive,
        Self::FillBytes,
        Self::FillResumed,
        Self::FillAbandoned,
        Self::FillRetries,
        Self::Revalidated,
        Self::Invalidated,
        Self::Conflicts,
        Self::PartsCombined,
        Self::StoreDigestMismatches,
        Self::StoreStripeBytes,
        Self::StoreComputedUnits,
        Self::StoreRepairedShards,
        Self::StoreContradictedShards,
        Self::StoreLogBytes,
        Self::StoreLogProblems,
        Self::StoreBytes,
        Self::StoreBudgetBytes,
        Self::StoreObjects,
        Self::StoreEvictedBytes,
        Self::StorePurgedObjects,
        Self::StoreBans,
        Self::StoreCorruptBlocks,
        Self::StoreUnderprotectedObjects,
        Self::StoreEpoch,
        Self::StoreDegraded,
        Self::StoreFailed,
        Self::DiskState,
        Self::DiskErrors,
        Self::DiskMissingShards,
        Self::DiskRebuildDone,
        Self::DiskRebuildExpected,
        Self::DiskScrubDone,
        Self::DiskScrubExpected,
        Self::ScrubReadBytes,
        Self::ScrubBadShards,
        Self::BoundHits,
        Self::Notifications,
        Self::AccessLogErrors,
        Self::Tasks,
        Self::TaskPanics,
        Self::Reloads,
        Self::ReloadSucceeded,
        Self::ReloadTime,
    ];

    /// Its description.
    pub(crate) fn described(self) -> Described {
        match self {
            Self::ClientConnections => gauge(
                "weir_client_connections",
                "connections",
                &[],
                "Client connections open on the proxy listeners",
            ),
            Self::TunnelActive => gauge(
                "weir_tunnel_active",
                "tunnels",
                &[],
                "Tunnels (CONNECT) open now",
            ),
            Self::TunnelBytes => counter(
                "weir_tunnel_bytes_total",
                "bytes",
                &["direction"],
                "Bytes carried by tunnels, by direction",
            ),
            Self::UpstreamRequests => counter(
                "weir_upstream_requests_total",
                "requests",
                &["result"],
                "Requests sent to upstreams, by how they ended",
            ),
            Self::UpstreamErrors => counter(
                "weir_upstream_errors_total",
                "errors",
                &["reason"],
                "Upstream requests that failed, by reason",
            ),
            Self::UpstreamConnections => counter(
                "weir_upstream_connections_total",
                "connections",
                &["kind"],
                "Connections to upstreams used for a request: opened for it, or reused from the pool",
            ),
            Self::UpstreamRetries => counter(
                "weir_upstream_retries_total",
                "requests",
                &[],
                "Upstream requests sent again because a connection closed before its first byte",
            ),
            Self::FillActive => gauge("weir_fill_active", "fills", &[], "Fills running now"),
            Self::FillBytes => counter(
                "weir_fill_bytes_total",
                "bytes",
                &[],
                "Body bytes that fills have read from upstreams",
            ),
            Self::FillResumed => counter(
                "weir_fill_resumed_total",
                "fills",
                &[],
                "Fills that broke off and went on where they had stopped",
            ),
            Self::FillAbandoned => counter(
                "weir_fill_abandoned_total",
                "fills",
                &[],
                "Fills that ended without a stored object",
            ),
            Self::FillRetries => counter(
                "weir_fill_retries_total",
                "attempts",
                &[],
                "Attempts to get an answer from an upstream, or the rest of one, after the first",
            ),
            Self::Revalidated => counter(
                "weir_revalidated_total",
                "objects",
                &[],
                "Stored objects that their origin said still hold",
            ),
            Self::Invalidated => counter(
                "weir_invalidated_total",
                "objects",
                &[],
                "Stored objects marked to be asked about, after a write or because their origin has others",
            ),
            Self::Conflicts => counter(
                "weir_conflicts_total",
                "objects",
                &[],
                "Immutable objects whose origin was found to have other bytes now",
            ),
            Self::PartsCombined => counter(
                "weir_parts_combined_total",
                "objects",
                &[],
                "Objects put together from ranges that were fetched one by one",
            ),
            Self::StoreDigestMismatches => counter(
                "weir_store_digest_mismatches_total",
                "objects",
                &[],
                "Objects refused because their digest is not the expected one",
            ),
            Self::StoreStripeBytes => gauge(
                "weir_store_stripe_bytes",
                "bytes",
                &[],
                "Memory for stripes that are being collected for several disks",
            ),
            Self::StoreComputedUnits => counter(
                "weir_store_computed_units_total",
                "units",
                &[],
                "Units that were computed from other disks because theirs could not be read",
            ),
            Self::StoreRepairedShards => counter(
                "weir_store_repaired_shards_total",
                "shards",
                &[],
                "Shards that were computed and written anew",
            ),
            Self::StoreContradictedShards => counter(
                "weir_store_contradicted_shards_total",
                "shards",
                &[],
                "Computed shards that were not what had been recorded of them, and were not written",
            ),
            Self::StoreLogBytes => gauge(
                "weir_store_log_bytes",
                "bytes",
                &[],
                "Bytes of the metadata log: what changed about objects after they were stored",
            ),
            Self::StoreLogProblems => counter(
                "weir_store_log_problems_total",
                "problems",
                &[],
                "Damage found in the metadata log",
            ),
            Self::StoreBytes => gauge(
                "weir_store_bytes",
                "bytes",
                &["disk"],
                "Bytes of stored objects, headers and checksums included",
            ),
            Self::StoreBudgetBytes => gauge(
                "weir_store_budget_bytes",
                "bytes",
                &["disk"],
                "Bytes that the store may use, from the last look at the disk",
            ),
            Self::StoreObjects => {
                gauge("weir_store_objects", "objects", &[], "Objects in the store")
            }
            Self::StoreEvictedBytes => counter(
                "weir_store_evicted_bytes_total",
                "bytes",
                &["cause"],
                "Bytes removed from the store, by cause",
            ),
            Self::StorePurgedObjects => counter(
                "weir_store_purged_objects_total",
                "objects",
                &[],
                "Objects that purges have removed or marked to be asked about",
            ),
            Self::StoreBans => gauge(
                "weir_store_bans",
                "purges",
                &[],
                "Purges that are remembered because something that they cover may still be there",
            ),
            Self::StoreCorruptBlocks => counter(
                "weir_store_corrupt_blocks_total",
                "blocks",
                &["disk"],
                "Blocks whose checksum did not match when they were read",
            ),
            Self::StoreUnderprotectedObjects => gauge(
                "weir_store_underprotected_objects",
                "objects",
                &[],
                "Objects that have fewer copies or less parity than configured",
            ),
            Self::StoreEpoch => gauge(
                "weir_store_epoch",
                "losses",
                &[],
                "Grows whenever a disk is lost, replaced, added or taken away",
            ),
            Self::StoreDegraded => gauge(
                "weir_store_degraded",
                "",
                &[],
                "1 while some disk or shard is missing and the others make up for it, else 0",
            ),
            Self::StoreFailed => gauge(
                "weir_store_failed",
                "",
                &[],
                "1 while more is missing than the parity makes up for, else 0",
            ),
            Self::DiskState => gauge(
                "weir_disk_state",
                "",
                &["disk", "slot", "state"],
                "1 for the state that a disk is in; its other states have no series",
            ),
            Self::DiskErrors => counter(
                "weir_disk_errors_total",
                "errors",
                &["disk", "slot"],
                "Calls to a disk that failed",
            ),
            Self::DiskMissingShards => gauge(
                "weir_disk_missing_shards",
                "shards",
                &["disk", "slot"],
                "Shards that a disk should have and lacks",
            ),
            Self::DiskRebuildDone => gauge(
                "weir_disk_rebuild_done",
                "shards",
                &["disk", "slot"],
                "Shards done by the rebuild or the retirement of a disk, while one runs",
            ),
            Self::DiskRebuildExpected => gauge(
                "weir_disk_rebuild_expected",
                "shards",
                &["disk", "slot"],
                "Shards that the rebuild or the retirement of a disk has to do in all, while one runs",
            ),
            Self::DiskScrubDone => gauge(
                "weir_disk_scrub_done",
                "shards",
                &["disk", "slot"],
                "Shards of a disk that the running scrub has read",
            ),
            Self::DiskScrubExpected => gauge(
                "weir_disk_scrub_expected",
                "shards",
                &["disk", "slot"],
                "Shards of a disk that the running scrub reads in all",
            ),
            Self::ScrubReadBytes => counter(
                "weir_scrub_read_bytes_total",
                "bytes",
                &[],
                "Bytes that scrubs have read",
            ),
            Self::ScrubBadShards => counter(
                "weir_scrub_bad_shards_total",
                "shards",
                &[],
                "Shards that scrubs have found bad; each is repaired or waits for it",
            ),
            Self::BoundHits => counter(
                "weir_bound_hits_total",
                "hits",
                &["bound"],
                "Times a configured or built-in bound was reached, by bound",
            ),
            Self::Notifications => counter(
                "weir_notifications_total",
                "messages",
                &["channel", "result"],
                "Messages to operators, by channel and by whether they arrived",
            ),
            Self::AccessLogErrors => counter(
                "weir_access_log_errors_total",
                "writes",
                &[],
                "Batches of access log lines that could not be written",
            ),
            Self::Tasks => gauge(
                "weir_tasks",
                "tasks",
                &["task"],
                "Background tasks running now, by name",
            ),
            Self::TaskPanics => counter(
                "weir_task_panics_total",
                "panics",
                &[],
                "Background tasks that ended by a panic, each of which is a bug",
            ),
            Self::Reloads => counter(
                "weir_reloads_total",
                "reloads",
                &["result"],
                "Reloads of the configuration, by how they ended",
            ),
            Self::ReloadSucceeded => gauge(
                "weir_config_last_reload_successful",
                "",
                &[],
                "1 when the last reload of the configuration was not refused, else 0",
            ),
            Self::ReloadTime => gauge(
                "weir_config_last_reload_success_timestamp_seconds",
                "seconds",
                &[],
                "When the configuration was last read without a problem, as Unix time",
            ),
        }
    }
}
