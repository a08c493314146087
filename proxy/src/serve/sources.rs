//! What other rooms count, as the metrics page reads it at a scrape.

use crate::array;
use crate::front::{AdmissionCounts, Front, Handler};
use crate::metrics::{Collected, Metrics, Samples};
use crate::notify::{CHANNELS, Notifier};
use crate::tunnel::TunnelStats;
use crate::upstream::UpstreamStats;
use std::sync::Arc;
use weir_cache::engine::Engine;
use weir_cache::events::Events;
use weir_cache::metrics::EvictionCause;
use weir_cache::store::Store;

/// Registers the tunnels.
pub(super) fn watch_tunnels(metrics: &Metrics, stats: Arc<TunnelStats>) {
    metrics.watch(Arc::new(move |samples: &mut Samples| {
        samples.add(Collected::TunnelActive, "", stats.active.get());
        samples.add(Collected::TunnelBytes, "up", stats.up_bytes.get());
        samples.add(Collected::TunnelBytes, "down", stats.down_bytes.get());
        samples.add(Collected::BoundHits, "tunnels", stats.crowded.get());
    }));
}

/// Registers the notifications.
pub(super) fn watch_notifier(metrics: &Metrics, notifier: Notifier, events: Events) {
    metrics.watch(Arc::new(move |samples: &mut Samples| {
        let stats = notifier.stats();
        for channel in CHANNELS {
            let (own, name) = (stats.of(channel), channel.as_str());
            for (result, count) in own.results() {
                samples.add_by(Collected::Notifications, &[name, result], count);
            }
        }
        samples.add(Collected::BoundHits, "notify", stats.crowded.get());
        samples.add(Collected::BoundHits, "events", events.lost().get());
        samples.add(Collected::TaskPanics, "", notifier.tasks().panics);
    }));
}

/// Registers the store.
pub(super) fn watch_store(metrics: &Metrics, store: &Arc<Store>) {
    let store = Arc::clone(store);
    metrics.watch(Arc::new(move |samples: &mut Samples| {
        store_samples(&store, samples)
    }));
}

/// Registers the engine, the upstream side and the front.
pub(super) fn watch<H: Handler>(
    metrics: &Metrics,
    engine: &Arc<Engine>,
    upstream: Arc<UpstreamStats>,
    front: &Arc<Front<H>>,
) {
    let front = Arc::clone(front);
    metrics.watch(Arc::new(move |samples: &mut Samples| {
        front_samples(front.counts(), samples)
    }));
    let engine = Arc::clone(engine);
    metrics.watch(Arc::new(move |samples: &mut Samples| {
        engine_samples(&engine, samples)
    }));
    metrics.watch(Arc::new(move |samples: &mut Samples| {
        upstream_samples(&upstream, samples)
    }));
}

fn front_samples(counts: AdmissionCounts, samples: &mut Samples) {
    samples.add(Collected::ClientConnections, "", counts.connections);
    samples.add(Collected::BoundHits, "connections", counts.crowded);
    samples.add(
        Collected::BoundHits,
        "connections-per-client",
        counts.refused,
    );
}

fn store_samples(store: &Store, samples: &mut Samples) {
    let stats = store.stats();
    samples.add(Collected::StoreObjects, "", stats.objects.get());
    array::samples(&store.disks(), &store.scrub(), samples);
    for cause in EvictionCause::ALL {
        samples.add(
            Collected::StoreEvictedBytes,
            cause.as_str(),
            stats.removed_bytes(cause),
        );
    }
    samples.add(
        Collected::StoreDigestMismatches,
        "",
        stats.digest_mismatches.get(),
    );
    samples.add(
        Collected::StorePurgedObjects,
        "",
        stats.purged_objects.get(),
    );
    samples.add(Collected::StoreBans, "", stats.bans.get());
    samples.add(Collected::StoreStripeBytes, "", stats.stripe_bytes.get());
    for (collected, counter) in [
        (Collected::StoreComputedUnits, &stats.computed_units),
        (Collected::StoreRepairedShards, &stats.repaired_shards),
        (
            Collected::StoreContradictedShards,
            &stats.contradicted_shards,
        ),
    ] {
        samples.add(collected, "", counter.get());
    }
    for (bound, hits) in [
        ("store-queue", &stats.pool_waits),
        ("store-repairs", &stats.repair_queue_full),
    ] {
        samples.add(Collected::BoundHits, bound, hits.get());
    }
    samples.add(Collected::StoreLogBytes, "", stats.metadata_log_bytes.get());
    samples.add(Collected::StoreLogProblems, "", stats.log_problems.get());
    samples.add(
        Collected::BoundHits,
        "variants",
        stats.variants_capped.get(),
    );
    samples.add(
        Collected::BoundHits,
        "store-replaced",
        stats.replaced_bound_hits.get(),
    );
    for disk in &stats.disks() {
        samples.add(Collected::StoreBytes, &disk.name, disk.stored_bytes.get());
        samples.add(
            Collected::StoreBudgetBytes,
            &disk.name,
            disk.budget_bytes.get(),
        );
        samples.add(
            Collected::StoreCorruptBlocks,
            &disk.name,
            disk.corrupt_blocks.get(),
        );
        samples.add(Collected::BoundHits, "store-full", disk.full.get());
        samples.add(Collected::BoundHits, "store-queue", disk.pool_waits.get());
    }
}

fn engine_samples(engine: &Engine, samples: &mut Samples) {
    let tasks = engine.tasks().counts();
    for (name, running) in tasks.running {
        samples.add(Collected::Tasks, name, running);
    }
    samples.add(Collected::TaskPanics, "", tasks.panics);
    samples.add(Collected::BoundHits, "tasks", tasks.refused);
    let stats = engine.stats();
    samples.add(Collected::FillActive, "", stats.fills_active.get());
    samples.add(Collected::FillBytes, "", stats.fill_bytes.get());
    samples.add(Collected::FillResumed, "", stats.fills_resumed.get());
    samples.add(Collected::FillAbandoned, "", stats.fills_abandoned.get());
    for (collected, counter) in [
        (Collected::FillRetries, &stats.retries),
        (Collected::Revalidated, &stats.revalidated),
        (Collected::Invalidated, &stats.invalidated),
        (Collected::Conflicts, &stats.conflicts),
        (Collected::PartsCombined, &stats.combined),
    ] {
        samples.add(collected, "", counter.get());
    }
    for (bound, hits) in [
        ("fill-memory", &stats.bound_memory),
        ("flights", &stats.bound_flights),
        ("fill-readers", &stats.bound_readers),
        ("hold-down", &stats.held_down),
        ("store-refused", &stats.store_refused),
        ("range-wait", &stats.far_ranges),
        ("origin-suspended", engine.origins_suspended()),
        ("retry-budget", engine.retry_budget_spent()),
    ] {
        samples.add(Collected::BoundHits, bound, hits.get());
    }
}

fn upstream_samples(stats: &UpstreamStats, samples: &mut Samples) {
    for (result, count) in stats.requests() {
        samples.add(Collected::UpstreamRequests, result, count);
    }
    samples.add(
        Collected::UpstreamConnections,
        "opened",
        stats.connections_opened(),
    );
    samples.add(
        Collected::UpstreamConnections,
        "reused",
        stats.connections_reused(),
    );
    samples.add(Collected::UpstreamRetries, "", stats.requests_retried());
    for (reason, count) in stats.errors() {
        samples.add(Collected::UpstreamErrors, reason, count);
    }
}
