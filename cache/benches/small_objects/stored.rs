//! Small objects through the store, as the gateway puts and gets them, one after the other.

use super::Step;
use super::measure::{self, Outcome, cost_of, micros_each};
use bytes::Bytes;
use std::path::PathBuf;
use weir_cache::store::{Store, StoreSettings, UNIT_BYTES};

/// Fewer than handles are kept.
const WARM_OBJECTS: usize = 1000;

/// Microseconds per object of each step.
pub(crate) async fn measure(
    folders: &[PathBuf],
    objects: usize,
    body: &Bytes,
) -> Outcome<Vec<(Step, f64)>> {
    let mut costs = Vec::new();
    let store = measure::open(folders, measure::settings(true)).await?;
    // The store makes them at the first object of each; a store that has been in use has them all.
    for folder in folders {
        for objects in measure::object_folders() {
            std::fs::create_dir_all(folder.join(objects))?;
        }
    }
    let fill = async {
        for number in 0..objects as u64 {
            measure::put(&store, measure::key(number), body).await?;
        }
        Ok(())
    };
    costs.push((Step::Put, micros_each(cost_of(fill).await?, objects)));
    measure::close(store).await;

    // Nothing is open after a start.
    let store = measure::open(folders, measure::settings(true)).await?;
    let warm = objects.min(WARM_OBJECTS);
    for step in [Step::GetCold, Step::GetWarm] {
        let spent = cost_of(get_all(&store, warm)).await?;
        costs.push((step, micros_each(spent, warm)));
    }
    let stored: u64 = store
        .stats()
        .disks()
        .iter()
        .map(|disk| disk.stored_bytes.get())
        .sum();
    measure::close(store).await;
    costs.push((Step::Evict, evict_half(folders, stored).await?));
    Ok(costs)
}

async fn get_all(store: &Store, objects: usize) -> Outcome<()> {
    for number in 0..objects as u64 {
        measure::get(store, measure::key(number)).await?;
    }
    Ok(())
}

/// Opens the store with half the capacity; beginning an object makes it evict the rest.
async fn evict_half(folders: &[PathBuf], stored_bytes: u64) -> Outcome<f64> {
    let settings = StoreSettings {
        capacity_bytes: Some(stored_bytes / 2),
        ..measure::settings(true)
    };
    let store = measure::open(folders, settings).await?;
    let before = store.stats().objects.get();
    // A large one: small ones reserve nothing before they are committed.
    let head = measure::head(measure::key(u64::MAX));
    let spent = cost_of(async { Ok(store.begin(head, Some(UNIT_BYTES)).await?) }).await?;
    let evicted = before.saturating_sub(store.stats().objects.get());
    measure::close(store).await;
    Ok(micros_each(spent, usize::try_from(evicted)?))
}
