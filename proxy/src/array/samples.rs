//! The disks in a scrape.

use crate::metrics::{Collected, Samples};
use weir_cache::store::report::{ArrayReport, ArrayState, DiskReport, ScrubReport};

/// Adds what is known of the disks and the scrub of them.
pub(crate) fn samples(array: &ArrayReport, scrub: &ScrubReport, samples: &mut Samples) {
    let is = |state: ArrayState| u64::from(array.state == state);
    for (collected, value) in [
        (
            Collected::StoreUnderprotectedObjects,
            array.underprotected_objects,
        ),
        (Collected::StoreEpoch, array.epoch),
        (Collected::StoreDegraded, is(ArrayState::Degraded)),
        (Collected::StoreFailed, is(ArrayState::Failed)),
        (Collected::ScrubReadBytes, scrub.read_bytes),
        (Collected::ScrubBadShards, scrub.bad_shards),
    ] {
        samples.add(collected, "", value);
    }
    for disk in &array.disks {
        disk_samples(disk, samples);
    }
}

fn disk_samples(disk: &DiskReport, samples: &mut Samples) {
    let slot = disk.slot.to_string();
    let labels = [disk.folder.as_str(), &slot];
    samples.add_by(
        Collected::DiskState,
        &[&disk.folder, &slot, disk.state.as_str()],
        1,
    );
    samples.add_by(Collected::DiskErrors, &labels, disk.errors);
    samples.add_by(Collected::DiskMissingShards, &labels, disk.missing_shards);
    if let Some(progress) = &disk.rebuild {
        samples.add_by(Collected::DiskRebuildDone, &labels, progress.done);
        samples.add_by(Collected::DiskRebuildExpected, &labels, progress.total);
    }
    if let Some(progress) = &disk.scrub {
        samples.add_by(Collected::DiskScrubDone, &labels, progress.done);
        samples.add_by(Collected::DiskScrubExpected, &labels, progress.total);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{disk, report};
    use super::*;
    use crate::metrics::Metrics;
    use std::sync::{Arc, Mutex};
    use weir_cache::store::report::{DiskState, Progress, ScrubDepth, ScrubState};

    fn scrub() -> ScrubReport {
        ScrubReport {
            state: ScrubState::Running,
            depth: ScrubDepth::Blocks,
            progress: Progress {
                done: 0,
                total: 0,
                left: None,
            },
            read_bytes: 65_536,
            bad_shards: 2,
            since_last_pass: None,
        }
    }

    #[test]
    fn disks_are_read_anew_at_every_scrape() {
        let array = Arc::new(Mutex::new(report(ArrayState::Healthy, Vec::new())));
        let metrics = Metrics::new("1");
        let watched = Arc::clone(&array);
        metrics.watch(Arc::new(move |found: &mut Samples| {
            samples(&watched.lock().unwrap(), &scrub(), found);
        }));
        let text = metrics.text().unwrap();
        assert!(text.contains("\nweir_store_degraded 0\n"), "{text}");
        assert!(!text.contains("weir_disk_state{"), "{text}");

        let rebuilt = DiskReport {
            missing_shards: 9,
            errors: 4,
            rebuild: Some(Progress {
                done: 1,
                total: 10,
                left: None,
            }),
            ..disk(3, "/data/d", DiskState::Rebuilding, "")
        };
        let lost = disk(0, "", DiskState::Out, "not there");
        *array.lock().unwrap() = report(ArrayState::Degraded, vec![lost, rebuilt]);
        let text = metrics.text().unwrap();
        for line in [
            "weir_disk_state{disk=\"\",slot=\"0\",state=\"out\"} 1",
            "weir_disk_state{disk=\"/data/d\",slot=\"3\",state=\"rebuilding\"} 1",
            "weir_disk_missing_shards{disk=\"/data/d\",slot=\"3\"} 9",
            "weir_disk_errors_total{disk=\"/data/d\",slot=\"3\"} 4",
            "weir_disk_rebuild_done{disk=\"/data/d\",slot=\"3\"} 1",
            "weir_disk_rebuild_expected{disk=\"/data/d\",slot=\"3\"} 10",
            "weir_store_degraded 1",
            "weir_store_failed 0",
            "weir_store_epoch 1",
            "weir_scrub_read_bytes_total 65536",
            "weir_scrub_bad_shards_total 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains("weir_disk_scrub_done{"), "{text}");
    }
}
